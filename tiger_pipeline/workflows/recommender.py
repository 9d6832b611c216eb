"""A finished generator, ready to recommend."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.generation.checkpoint import load_generator
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.progress import Progress
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie

if TYPE_CHECKING:
    import pyarrow as pa


def recommender_of(
    model: Generator, semantic_ids: SemanticIds, config: EvaluationConfig
) -> GeneratorRecommender:
    """Search all of `semantic_ids` with `model`, as wide as `config` says."""
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    return GeneratorRecommender(model, trie, config.beams, config.users_per_batch)


def load_recommender(
    directory: Path, semantic_ids: SemanticIds, config: EvaluationConfig
) -> GeneratorRecommender:
    """Read the generator in `directory`.

    Raises:
        ArtifactError: a file is missing or damaged.
        ArtifactMismatchError: it was trained on other semantic IDs.
    """
    return recommender_of(load_generator(directory, semantic_ids), semantic_ids, config)


def recommend_to_all(
    recommender: GeneratorRecommender, sequences: UserSequences, top_k: int, progress: Progress
) -> "pa.Table":
    """The next items of every user, after all of their interactions; seen items are left out.

    Returns:
        Columns user_id string, rank int32 (from 1), item_id string, score float32
        (log-probability of the item's semantic ID), is_cold_start bool.
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
