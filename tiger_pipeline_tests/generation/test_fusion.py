import numpy as np
import pytest
import torch

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import cpu
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.generation.fusion import FusedRecommender, ScoredCandidates
from tiger_pipeline.generation.fusion_network import FusionNetwork
from tiger_pipeline.generation.item_prior import ItemPriors
from tiger_pipeline.generation.recommendations import NO_ITEM
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
)
from tiger_pipeline_tests.generation.fusion_networks import fused_by_definition, random_network
from tiger_pipeline_tests.generation.item_decoders import all_scores, item_decoder

N_ITEMS = 25
SEMANTIC_IDS = random_semantic_ids(1, N_ITEMS)
TRIE = SemanticIdTrie.from_semantic_ids(SEMANTIC_IDS)
MODEL = item_decoder(SEMANTIC_IDS)
NETWORK = random_network(seed=3)


class Closeness:
    """A prior that likes items whose index is close to that of the last item plus a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def matrix(self, histories: Histories) -> np.ndarray:
        last = [
            items[-1] if len(items) else 0 for items in map(histories.__getitem__, _rows(histories))
        ]
        distance = np.abs(np.arange(N_ITEMS) - np.array(last).reshape(-1, 1) - self.step)
        return np.log(np.exp(-distance) / np.exp(-distance).sum(1, keepdims=True))

    def proposals(self, histories: Histories, width: int) -> np.ndarray:
        logp = self.matrix(histories)
        for row in _rows(histories):
            logp[row, histories[row]] = -np.inf
        order = np.argsort(-logp, axis=1, kind="stable")[:, :width]
        found = np.take_along_axis(logp, order, axis=1)
        return np.where(np.isfinite(found), order, NO_ITEM)

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.matrix(histories), items, axis=1)


PRIORS = ItemPriors(Closeness(0), Closeness(7))


def _rows(histories: Histories) -> range:
    return range(len(histories))


def fused(beams: int, network: FusionNetwork = NETWORK) -> FusedRecommender:
    return FusedRecommender(MODEL, TRIE, PRIORS, network, beams, 3, cpu())


def expected_scores(histories: Histories, exclude_seen: bool) -> np.ndarray:
    with torch.no_grad():
        codes, dense = all_scores(MODEL, SEMANTIC_IDS, histories)
    priors = [prior.matrix(histories) for prior in (PRIORS.transitions, PRIORS.text)]
    logp = np.stack([codes, dense, *priors], axis=2)
    return fused_by_definition(NETWORK, logp, histories, exclude_seen)


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_a_search_as_wide_as_the_catalog_ranks_by_the_network(exclude_seen: bool) -> None:
    histories = random_histories(6, n_users=7, n_items=N_ITEMS, longest=9)
    found = fused(N_ITEMS).recommend(histories, 10, exclude_seen)
    scores = expected_scores(histories, exclude_seen)
    order = np.argsort(-scores, axis=1)[:, :10]
    assert found.items.tolist() == order.tolist()
    np.testing.assert_allclose(
        found.logp, np.take_along_axis(scores, order, 1), rtol=1e-3, atol=1e-4
    )
    assert (found.items.dtype, found.logp.dtype) == (np.int32, np.float32)


def test_each_score_proposes_its_best_unseen_items_and_seen_ones_stay_candidates() -> None:
    histories = random_histories(6, n_users=7, n_items=N_ITEMS, longest=9)
    with torch.no_grad():
        scores = [
            all_scores(MODEL, SEMANTIC_IDS, histories)[1],
            PRIORS.transitions.matrix(histories),
            PRIORS.text.matrix(histories),
        ]
    by_codes = GeneratorRecommender(MODEL, TRIE, 4, 3, cpu()).recommend(histories, 4, True).items
    for rows, candidates in fused(4).candidates(histories):
        for row, items, seen in zip(rows, candidates.items, candidates.seen, strict=True):
            history = set(histories[row].tolist())
            unseen = [i for i in range(N_ITEMS) if i not in history]
            expected = history.union(by_codes[row].tolist())
            for score in scores:
                order = np.argsort(-score[row, unseen])[:4]
                expected.update(np.array(unseen)[order].tolist())
            assert items[: len(expected)].tolist() == sorted(expected)
            assert (items[len(expected) :] == -1).all()
            assert seen.tolist() == [item in history for item in items]


@pytest.mark.parametrize("score", ["dense", "transitions", "text"])
def test_one_score_alone_ranks_exactly_however_narrow_the_search(score: str) -> None:
    histories = random_histories(6, n_users=5, n_items=N_ITEMS, longest=9)
    with torch.no_grad():
        _, dense = all_scores(MODEL, SEMANTIC_IDS, histories)
    scores = dense if score == "dense" else getattr(PRIORS, score).matrix(histories)
    nothing = dict.fromkeys(("codes", "dense", "transitions", "text"), 0.0)
    alone = FusionNetwork.weighted_sum(**{**nothing, score: 1.0})
    found = fused(6, alone).recommend(histories, 6, exclude_seen=True)
    for row in _rows(histories):
        scores[row, histories[row]] = -np.inf
    best = -np.sort(-scores, axis=1)[:, :6]
    np.testing.assert_allclose(found.logp, best - best[:, :1], rtol=1e-4, atol=1e-5)
    chosen = np.take_along_axis(scores, found.items.astype(np.int64), axis=1)
    np.testing.assert_allclose(chosen, best, rtol=1e-4)


def test_joined_candidates_are_those_of_the_parts() -> None:
    histories = random_histories(6, n_users=7, n_items=N_ITEMS, longest=9)
    parts = [candidates for _, candidates in fused(4).candidates(histories)]
    joined, row = ScoredCandidates.joined(parts), 0
    assert len({part.items.shape[1] for part in parts}) > 1
    for part in parts:
        scores = part.fused(NETWORK, exclude_seen=True)
        rows = slice(row, row + len(scores))
        found = joined.select(rows).fused(NETWORK, exclude_seen=True)
        assert np.array_equal(joined.items[rows, : scores.shape[1]], part.items)
        np.testing.assert_allclose(found[:, : scores.shape[1]], scores, rtol=1e-5)
        assert np.isneginf(found[:, scores.shape[1] :]).all()
        row += len(scores)


def test_nothing_left_to_recommend_leaves_the_row_empty() -> None:
    found = fused(6).recommend(histories_of([list(range(N_ITEMS)), [1]]), 5, exclude_seen=True)
    assert found.items[0].tolist() == [-1] * 5
    assert np.isneginf(found.logp[0]).all()
    assert (found.items[1] >= 0).all()


def test_no_users_are_no_recommendations() -> None:
    assert fused(6).recommend(histories_of([]), 5, exclude_seen=True).items.shape == (0, 5)


def test_more_recommendations_than_beams_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"7 recommendations .* 6 beams"):
        fused(6).recommend(histories_of([[0]]), 7, exclude_seen=False)
