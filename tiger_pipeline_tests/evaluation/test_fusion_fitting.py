from dataclasses import replace

import numpy as np
import pytest

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.evaluation.fusion_fitting import (
    SEEN_WEIGHTS,
    WEIGHTS,
    FittedFusion,
    fit_fusion,
    fused_ranks,
)
from tiger_pipeline.evaluation.metrics import ndcg, target_ranks
from tiger_pipeline.generation.fusion import FusedRecommender, FusionWeights, ScoredCandidates
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline.workflows.recommender import item_priors
from tiger_pipeline_tests.evaluation.synthetic import random_sequences
from tiger_pipeline_tests.generation.catalogs import random_semantic_ids
from tiger_pipeline_tests.generation.item_decoders import item_decoder

N_ITEMS = 30
SEMANTIC_IDS = random_semantic_ids(4, N_ITEMS)
SEQUENCES = random_sequences(n_users=40, n_items=N_ITEMS, seed=5)
HISTORIES, TARGETS = SEQUENCES.evaluation("valid")


def recommender(weights: FusionWeights) -> FusedRecommender:
    model = item_decoder(SEMANTIC_IDS)
    trie = SemanticIdTrie.from_semantic_ids(SEMANTIC_IDS)
    priors = item_priors(SEQUENCES.training(), model.text_embeddings)
    return FusedRecommender(model, trie, priors, weights, 12, 16, cpu())


@pytest.fixture(scope="module")
def fitted() -> FittedFusion:
    return fit_fusion(recommender(FusionWeights()), HISTORIES, TARGETS)


def recommended_ndcg(weights: FusionWeights, exclude_seen: bool) -> float:
    """By the recommendations themselves."""
    items = recommender(weights).recommend(HISTORIES, 10, exclude_seen).items
    return ndcg(target_ranks(items, TARGETS), 10)


def test_no_change_of_one_weight_is_better(fitted: FittedFusion) -> None:
    for name in ("codes", "transitions", "text"):
        for value in WEIGHTS[::3]:
            changed = replace(fitted.weights, **{name: value})
            other = recommended_ndcg(changed, exclude_seen=True)
            assert fitted.metrics["ndcg@10"] >= other - 1e-12
    kept = recommended_ndcg(fitted.weights, exclude_seen=False)
    for seen in SEEN_WEIGHTS:
        assert kept >= recommended_ndcg(replace(fitted.weights, seen=seen), exclude_seen=False)


def test_the_promised_value_is_that_of_the_recommendations(fitted: FittedFusion) -> None:
    assert fitted.weights.dense == 1.0
    assert fitted.metrics["ndcg@10"] == pytest.approx(
        recommended_ndcg(fitted.weights, exclude_seen=True)
    )


def test_the_recommenders_own_weights_play_no_part(fitted: FittedFusion) -> None:
    other = recommender(FusionWeights(0.1, 3.0, 2.0, 1.0, 5.0))
    assert fit_fusion(other, HISTORIES, TARGETS) == fitted


def test_ranks_by_hand() -> None:
    candidates = ScoredCandidates(
        items=np.array([[2, 4, 7, 9], [1, 3, -1, -1], [0, 5, 6, 8]]),
        logp=np.array(
            [
                [[1, 0, 0, 0], [3, 0, 0, 0], [3, 0, 0, 0], [2, 0, 0, 0]],
                [[1, 0, 0, 0], [9, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
                [[1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0], [4, 0, 0, 0]],
            ],
            dtype=np.float32,
        ),
        seen=np.array([[False, True, False, False], [False] * 4, [False] * 4]),
    )
    weights = FusionWeights(2.0, 1.0, 1.0, 1.0, seen=-5.0)
    targets = np.array([7, 1, 3])
    # User 0: 4 and 7 are equal but 4 was seen. User 2: the target is no candidate.
    assert fused_ranks(candidates, targets, weights, exclude_seen=True).tolist() == [1, 2, 0]
    equal = replace(weights, seen=0.0)
    assert fused_ranks(candidates, targets, equal, exclude_seen=False).tolist() == [2, 2, 0]
    assert fused_ranks(candidates, targets, weights, exclude_seen=False).tolist() == [1, 2, 0]
    assert fused_ranks(candidates, np.array([4, 1, 3]), weights, True).tolist() == [0, 2, 0]
