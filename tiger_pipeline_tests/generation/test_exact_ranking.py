import numpy as np
import pytest
import torch

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.generation.exact_ranking import (
    ExactCodesRecommender,
    ExactFusedRecommender,
    ExactRecommender,
    best_of_all,
)
from tiger_pipeline.generation.fusion import FusedRecommender
from tiger_pipeline.generation.recommendations import PoolRecommender
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
)
from tiger_pipeline_tests.generation.test_fusion import (
    MODEL,
    N_ITEMS,
    NETWORK,
    PRIORS,
    TRIE,
    expected_scores,
    fused,
)

HISTORIES = random_histories(6, n_users=7, n_items=N_ITEMS, longest=9)
BY_CODES = ExactCodesRecommender(MODEL, TRIE, 3, cpu())
FUSED = ExactFusedRecommender(MODEL, TRIE, PRIORS, NETWORK, 3, cpu())


@pytest.mark.parametrize("exclude_seen", [False, True])
@pytest.mark.parametrize(
    ("exact", "searched"),
    [
        (BY_CODES, GeneratorRecommender(MODEL, TRIE, N_ITEMS, 3, cpu())),
        (FUSED, fused(N_ITEMS)),
    ],
)
def test_it_ranks_as_the_widest_search(
    exact: ExactRecommender,
    searched: GeneratorRecommender | FusedRecommender,
    exclude_seen: bool,
) -> None:
    found = exact.recommend(HISTORIES, 10, exclude_seen)
    expected = searched.recommend(HISTORIES, 10, exclude_seen)
    assert np.array_equal(found.items, expected.items)
    np.testing.assert_allclose(found.logp, expected.logp, rtol=1e-3, atol=1e-4)
    assert (found.items.dtype, found.logp.dtype) == (np.int32, np.float32)


def test_a_given_pool_is_scored_by_the_network() -> None:
    pool = np.random.default_rng(0).integers(N_ITEMS, size=(7, 6))
    expected = np.take_along_axis(expected_scores(HISTORIES, exclude_seen=False), pool, axis=1)
    np.testing.assert_allclose(FUSED.logp(HISTORIES, pool), expected, rtol=1e-3, atol=1e-4)
    assert isinstance(FUSED, PoolRecommender)


def test_a_given_pool_is_scored_by_its_codes() -> None:
    everything = np.tile(np.arange(N_ITEMS), (7, 1))
    logp = BY_CODES.logp(HISTORIES, everything)
    found = BY_CODES.recommend(HISTORIES, N_ITEMS, exclude_seen=False)
    np.testing.assert_allclose(np.take_along_axis(logp, found.items, 1), found.logp, rtol=1e-5)
    np.testing.assert_allclose(np.exp(logp[:, 0]) > 0, True)


def test_lists_may_be_longer_than_the_catalog_and_users_may_have_seen_all() -> None:
    found = BY_CODES.recommend(histories_of([list(range(N_ITEMS)), [1]]), N_ITEMS + 3, True)
    assert (found.items[0] == -1).all()
    assert (found.items[1] >= 0).sum() == N_ITEMS - 1
    assert BY_CODES.recommend(histories_of([]), 5, True).items.shape == (0, 5)


def test_of_equal_scores_the_lower_item_comes_first() -> None:
    scores = torch.tensor([[0.5, 2.0, 0.5, 2.0, -torch.inf]])
    found = best_of_all(scores, histories_of([[1]]), 5, exclude_seen=False)
    assert found.items.tolist() == [[1, 3, 0, 2, -1]]
    assert best_of_all(scores, histories_of([[1]]), 2, True).items.tolist() == [[3, 0]]


def test_a_trie_of_other_codebooks_is_refused() -> None:
    trie = SemanticIdTrie.from_semantic_ids(random_semantic_ids(1, 9, (2, 2)))
    with pytest.raises(ArtifactMismatchError, match="codebooks"):
        ExactCodesRecommender(MODEL, trie, 8, cpu())
