"""A finished generator, ready to recommend."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.evaluation.baselines.item_transition_knn import (
    ItemTransitionKNN,
    TransitionSettings,
)
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.generation.checkpoint import load_generator, read_fusion_weights
from tiger_pipeline.generation.fusion import FusedRecommender, FusionWeights
from tiger_pipeline.generation.generator import DenseGenerator, Generator
from tiger_pipeline.generation.item_prior import ItemPrior
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.progress import Progress
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie

if TYPE_CHECKING:
    import pyarrow as pa

_PRIOR = TransitionSettings(popularity_share=0.1)
"""With the baseline's own tiny share, an item that never followed could not be won back."""


def item_prior(training: Histories, n_items: int) -> ItemPrior:
    """The prior of fused scores: item transitions of the training interactions, smoothed."""
    return ItemTransitionKNN(training, n_items, _PRIOR)


def recommender_of(
    model: Generator, semantic_ids: SemanticIds, config: EvaluationConfig
) -> GeneratorRecommender:
    """Rank by the codes of `model` alone: a search of `semantic_ids` as wide as `config` says."""
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    return GeneratorRecommender(model, trie, config.beams, config.users_per_batch)


def fused_recommender_of(
    model: DenseGenerator,
    semantic_ids: SemanticIds,
    config: EvaluationConfig,
    prior: ItemPrior,
    weights: FusionWeights,
) -> FusedRecommender:
    """Rank by codes, dense head and `prior` together; `config.beams` items are tried of each."""
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    return FusedRecommender(model, trie, prior, weights, config.beams, config.users_per_batch)


def load_recommenders(
    directory: Path, semantic_ids: SemanticIds, sequences: UserSequences, config: EvaluationConfig
) -> "tuple[GeneratorRecommender | FusedRecommender, GeneratorRecommender | None]":
    """Read the generator in `directory`, as what it recommends by as a whole and by codes alone.

    Args:
        directory: written by `generation.checkpoint.save_generator`.
        semantic_ids: that it was trained on.
        sequences: of all users; the training interactions give the prior of a fused score.
        config: width of the search.

    Returns:
        The recommender to use; and, where that ranks by more than the codes, one that does not.

    Raises:
        ArtifactError: a file is missing or damaged.
        ArtifactMismatchError: it was trained on other semantic IDs.
    """
    model = load_generator(directory, semantic_ids)
    codes_alone = recommender_of(model, semantic_ids, config)
    if not isinstance(model, DenseGenerator):
        return codes_alone, None
    prior = item_prior(sequences.training(), sequences.n_items)
    weights = read_fusion_weights(directory)
    return fused_recommender_of(model, semantic_ids, config, prior, weights), codes_alone


def recommend_to_all(
    recommender: "GeneratorRecommender | FusedRecommender",
    sequences: UserSequences,
    top_k: int,
    progress: Progress,
) -> "pa.Table":
    """The next items of every user, after all of their interactions; seen items are left out.

    Returns:
        Columns user_id string, rank int32 (from 1), item_id string, score float32
        (log-probability of the item's semantic ID, or the fused score), is_cold_start bool.
    """
    import pyarrow as pa

    histories = sequences.complete()
    found = recommender.recommend(histories, top_k, exclude_seen=True, progress=progress)
    is_item = found.items >= 0
    users, ranks = np.nonzero(is_item)
    items = found.items[is_item]
    return pa.table(
        {
            "user_id": pa.array(sequences.user_ids[users], pa.string()),
            "rank": pa.array(ranks + 1, pa.int32()),
            "item_id": pa.array(sequences.item_ids[items], pa.string()),
            "score": pa.array(found.logp[is_item], pa.float32()),
            "is_cold_start": pa.array(np.zeros(len(items), dtype=bool)),
        }
    )
