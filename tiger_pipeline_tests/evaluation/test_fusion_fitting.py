from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import cpu
from tiger_pipeline.evaluation.fusion_fitting import (
    SEEN_WEIGHTS,
    FittedFusion,
    fit_fusion,
    fused_ranks,
    measure_fusion,
)
from tiger_pipeline.evaluation.metrics import ndcg, target_ranks
from tiger_pipeline.generation.fusion import FusedRecommender, ScoredCandidates
from tiger_pipeline.generation.fusion_network import FusionNetwork
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline.workflows.recommender import item_priors
from tiger_pipeline_tests.evaluation.synthetic import random_sequences
from tiger_pipeline_tests.generation.catalogs import random_semantic_ids
from tiger_pipeline_tests.generation.fusion_networks import random_network
from tiger_pipeline_tests.generation.item_decoders import item_decoder

N_ITEMS = 30
SEMANTIC_IDS = random_semantic_ids(4, N_ITEMS)
SEQUENCES = random_sequences(n_users=40, n_items=N_ITEMS, seed=5)
HISTORIES, TARGETS = SEQUENCES.evaluation("valid")


def recommender(network: FusionNetwork) -> FusedRecommender:
    model = item_decoder(SEMANTIC_IDS)
    trie = SemanticIdTrie.from_semantic_ids(SEMANTIC_IDS)
    priors = item_priors(SEQUENCES.training(), model.text_embeddings)
    return FusedRecommender(model, trie, priors, network, 12, 16, cpu())


@dataclass
class Given:
    """A recommender of which only the candidates are asked for."""

    scored: ScoredCandidates

    def candidates(self, histories: Histories) -> Iterator[tuple[np.ndarray, ScoredCandidates]]:
        for rows in np.array_split(np.arange(len(self.scored.items)), 3):
            yield rows, self.scored.select(rows)


def random_candidates(n_users: int, n_items: int = 20) -> ScoredCandidates:
    random = np.random.default_rng(0)
    logp = -random.exponential(3, size=(n_users, n_items, 4)).astype(np.float32)
    return ScoredCandidates(
        items=np.tile(np.arange(n_items), (n_users, 1)),
        logp=logp,
        seen=np.zeros((n_users, n_items), dtype=bool),
        best=logp.max(axis=1),
    )


def fit(
    scored: ScoredCandidates, targets: np.ndarray, is_learned: np.ndarray | None = None
) -> FittedFusion:
    return fit_fusion(Given(scored), HISTORIES, targets, 0, is_learned)  # type: ignore[arg-type]


def ndcg_of_sum(scored: ScoredCandidates, targets: np.ndarray) -> float:
    return ndcg(fused_ranks(scored, targets, FusionNetwork.weighted_sum(), True), 10)


def of_two_kinds(n_users: int) -> tuple[ScoredCandidates, np.ndarray]:
    """Candidates and targets: codes are right where they are sure, the transitions elsewhere."""
    scored = random_candidates(n_users)
    codes_are_sure = np.arange(n_users) % 2 == 0
    scored.logp[~codes_are_sure, :, 0] -= 8
    scored.best[~codes_are_sure, 0] -= 8
    trusted = np.where(codes_are_sure, 0, 2)
    return scored, scored.logp[np.arange(n_users), :, trusted].argmax(axis=1)


def test_what_no_weighted_sum_can_express_is_learned() -> None:
    scored, targets = of_two_kinds(1200)
    found = fit(scored, targets)
    assert found.metrics["ndcg@10"] > ndcg_of_sum(scored, targets) + 0.2
    ranks = fused_ranks(scored, targets, found.network, exclude_seen=True)
    assert ndcg(ranks, 10) >= found.metrics["ndcg@10"] - 0.02


def test_nothing_is_learned_from_items_that_are_left_out() -> None:
    scored, targets = of_two_kinds(1200)
    is_learned = np.arange(20) < 15
    changed_targets = np.where(targets < 15, targets, 15 + (targets + 1) % 5)
    assert (changed_targets != targets).any()
    changed = replace(scored, logp=scored.logp.copy())
    changed.logp[:, 15:] -= np.random.default_rng(1).exponential(3, (1200, 5, 4))
    one = fit(scored, targets, is_learned)
    other = fit(changed, changed_targets, is_learned)
    assert other.metrics != one.metrics
    for name, array in one.network.tensors().items():
        assert np.array_equal(other.network.tensors()[name], array), name
    assert len(one.network.last) > 0
    assert not np.array_equal(fit(scored, targets).network.linear, one.network.linear)


def test_all_items_may_be_left_out() -> None:
    scored, targets = of_two_kinds(100)
    found = fit(scored, targets, np.zeros(20, dtype=bool))
    assert found.metrics["ndcg@10"] == ndcg_of_sum(scored, targets)
    assert len(found.network.last) == 0


def test_what_cannot_be_learned_is_not_claimed() -> None:
    scored = random_candidates(1000)
    targets = np.random.default_rng(1).integers(20, size=1000)
    by_chance = (1 / np.log2(np.arange(2, 12))).sum() / 20
    standard_error = 0.27 / np.sqrt(1000)
    assert abs(fit(scored, targets).metrics["ndcg@10"] - by_chance) < 4 * standard_error


def test_where_the_weighted_sum_is_right_it_stays() -> None:
    scored = random_candidates(50)
    targets = scored.fused(FusionNetwork.weighted_sum(), exclude_seen=True).argmax(axis=1)
    found = fit(scored, targets)
    assert found.metrics == {"hit_rate@10": 1.0, "ndcg@10": 1.0}
    assert len(found.network.last) == 0


def test_users_whose_target_is_no_candidate_are_misses() -> None:
    scored = random_candidates(400)
    targets = scored.fused(FusionNetwork.weighted_sum(), exclude_seen=True).argmax(axis=1)
    lost = np.where(np.arange(400) < 100, 99, targets)
    assert fit(scored, lost).metrics == {"hit_rate@10": 0.75, "ndcg@10": 0.75}


def test_no_target_is_found() -> None:
    found = fit(random_candidates(5), np.full(5, 99))
    assert found.metrics == {"hit_rate@10": 0.0, "ndcg@10": 0.0}


@pytest.fixture(scope="module")
def fitted() -> FittedFusion:
    return fit_fusion(recommender(FusionNetwork.weighted_sum()), HISTORIES, TARGETS, seed=1)


def recommended_ndcg(network: FusionNetwork, exclude_seen: bool) -> float:
    """By the recommendations themselves."""
    items = recommender(network).recommend(HISTORIES, 10, exclude_seen).items
    return ndcg(target_ranks(items, TARGETS), 10)


def test_no_other_weight_of_seen_items_is_better(fitted: FittedFusion) -> None:
    kept = recommended_ndcg(fitted.network, exclude_seen=False)
    for seen in SEEN_WEIGHTS:
        changed = replace(fitted.network, seen=np.array(seen, dtype=np.float32))
        assert kept >= recommended_ndcg(changed, exclude_seen=False)


def test_the_same_seed_fits_the_same_and_the_recommenders_own_network_plays_no_part(
    fitted: FittedFusion,
) -> None:
    other = recommender(random_network(seed=8))
    again = fit_fusion(other, HISTORIES, TARGETS, seed=1)
    for name, array in fitted.network.tensors().items():
        assert np.array_equal(again.network.tensors()[name], array)
    assert measure_fusion(other, HISTORIES, TARGETS, seed=1) == again.metrics == fitted.metrics


def test_ranks_by_hand() -> None:
    logp = np.zeros((3, 4, 4), dtype=np.float32)
    logp[:, :, 0] = [[1, 3, 3, 2], [1, 9, 0, 0], [1, 2, 3, 4]]
    candidates = ScoredCandidates(
        items=np.array([[2, 4, 7, 9], [1, 3, -1, -1], [0, 5, 6, 8]]),
        logp=logp,
        seen=np.array([[False, True, False, False], [False] * 4, [False] * 4]),
        best=logp.max(axis=1),
    )
    network = FusionNetwork.weighted_sum(codes=2.0, seen=-5.0)
    targets = np.array([7, 1, 3])
    # User 0: 4 and 7 are equal but 4 was seen. User 2: the target is no candidate.
    assert fused_ranks(candidates, targets, network, exclude_seen=True).tolist() == [1, 2, 0]
    equal = replace(network, seen=np.array(0, dtype=np.float32))
    assert fused_ranks(candidates, targets, equal, exclude_seen=False).tolist() == [2, 2, 0]
    assert fused_ranks(candidates, targets, network, exclude_seen=False).tolist() == [1, 2, 0]
    assert fused_ranks(candidates, np.array([4, 1, 3]), network, True).tolist() == [0, 2, 0]
