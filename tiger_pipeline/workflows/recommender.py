"""A finished generator, ready to recommend."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.encoding.embedding_table import vectors_of_items
from tiger_pipeline.evaluation.baselines.item_transition_knn import (
    ItemTransitionKNN,
    TransitionSettings,
)
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.generation.catalog_tries import catalog_tries
from tiger_pipeline.generation.checkpoint import load_generator, read_fusion
from tiger_pipeline.generation.cold_prior import CatalogPrior, nearest_warm_items
from tiger_pipeline.generation.exact_ranking import (
    ExactCodesRecommender,
    ExactFusedRecommender,
    ExactRecommender,
)
from tiger_pipeline.generation.fusion import FusedRecommender
from tiger_pipeline.generation.fusion_network import FusionNetwork
from tiger_pipeline.generation.generator import DenseGenerator, Generator
from tiger_pipeline.generation.item_prior import ItemPrior, ItemPriors
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.generation.text_similarity import TextSimilarity
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie

if TYPE_CHECKING:
    import pyarrow as pa

ListRecommender: TypeAlias = GeneratorRecommender | FusedRecommender | ExactRecommender
"""By a search or exactly: whatever tells its progress while it recommends."""
_PRIOR = TransitionSettings(popularity_share=0.1)
"""With the baseline's own tiny share, an item that never followed could not be won back."""


def item_priors(
    training: Histories, warm_text: np.ndarray, cold_text: np.ndarray | None = None
) -> ItemPriors:
    """The priors of fused scores: transitions of the training interactions, smoothed, and texts.

    Args:
        training: the training interactions; those of cold items are not counted.
        warm_text: float32[n_warm, d], text embeddings of the items that were trained on.
        cold_text: float32[n_cold, d], of items that came later.
    """
    n_warm = len(warm_text)
    known = training.only(training.items < n_warm)
    transitions: ItemPrior = ItemTransitionKNN(known, n_warm, _PRIOR)
    if cold_text is not None:
        neighbors = nearest_warm_items(cold_text, warm_text)
        transitions = CatalogPrior(transitions, neighbors, n_warm)
    return ItemPriors(transitions, TextSimilarity(warm_text, cold_text))


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
    priors: ItemPriors,
    network: FusionNetwork,
) -> FusedRecommender:
    """Rank by codes, dense head and `priors` together; as many items as beams are tried of each."""
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    return FusedRecommender(model, trie, priors, network, config.beams, config.users_per_batch)


def load_recommenders(
    directory: Path,
    semantic_ids: SemanticIds,
    training: Callable[[], Histories],
    config: EvaluationConfig,
    rank_pools: bool = False,
) -> tuple[ListRecommender, ListRecommender | None]:
    """Read the generator in `directory`, as what it recommends by as a whole and by codes alone.

    Args:
        directory: written by `generation.checkpoint.save_generator`.
        semantic_ids: that it was trained on.
        training: as for `load_searching_recommenders`.
        config: kind and width of the search.
        rank_pools: whether the recommenders have to rank given pools of items; then they score
            items exactly, whatever the search.

    Returns:
        The recommender to use; and, where that ranks by more than the codes, one that does not.

    Raises:
        ArtifactError: a file is missing or damaged.
        ArtifactMismatchError: it was trained on other semantic IDs.
    """
    if not rank_pools and config.search == "beams":
        return load_searching_recommenders(directory, semantic_ids, training, config)
    model = load_generator(directory, semantic_ids)
    trie, batch = SemanticIdTrie.from_semantic_ids(semantic_ids), config.users_per_batch
    codes_alone = ExactCodesRecommender(model, trie, batch)
    if not isinstance(model, DenseGenerator):
        return codes_alone, None
    priors = item_priors(training(), model.text_embeddings)
    network = read_fusion(directory)
    return ExactFusedRecommender(model, trie, priors, network, batch), codes_alone


def load_searching_recommenders(
    directory: Path,
    semantic_ids: SemanticIds,
    training: Callable[[], Histories],
    config: EvaluationConfig,
    embeddings: "pa.Table | None" = None,
    allowed: np.ndarray | None = None,
) -> tuple[GeneratorRecommender | FusedRecommender, GeneratorRecommender | None]:
    """As `load_recommenders`, by beams, and of cold items, too.

    Args:
        directory: written by `generation.checkpoint.save_generator`.
        semantic_ids: that it was trained on, or a table that grew from them.
        training: the training interactions (`UserSequences.training`); called only where they
            give the prior of a fused score.
        config: width of the search.
        embeddings: of the items' texts, where the table grew and the generator reads text.
        allowed: bool[n_items], False for items that must not be recommended; None: all may be.

    Returns:
        The recommender to use; and, where that ranks by more than the codes, one that does not.

    Raises:
        ArtifactError: a file is missing or damaged.
        ArtifactMismatchError: it was trained on other semantic IDs.
        InputError: no item may be recommended, or the embeddings of cold items are missing.
    """
    text = cold_text_of(semantic_ids, embeddings)
    model = load_generator(directory, semantic_ids, text)
    trie, cold = catalog_tries(semantic_ids, allowed)
    widths = (config.beams, config.users_per_batch)
    codes_alone = GeneratorRecommender(model, trie, *widths, cold=cold)
    if not isinstance(model, DenseGenerator):
        return codes_alone, None
    priors = item_priors(training(), model.text_embeddings, text)
    network = read_fusion(directory)
    return FusedRecommender(model, trie, priors, network, *widths, cold=cold), codes_alone


def cold_text_of(semantic_ids: SemanticIds, embeddings: "pa.Table | None") -> np.ndarray | None:
    """Text embeddings float32[n_cold, d] of the cold items; None without embeddings or cold items.

    Raises:
        ArtifactMismatchError: an item has no embedding.
    """
    if embeddings is None or not semantic_ids.n_cold:
        return None
    return vectors_of_items(embeddings, semantic_ids.item_ids[semantic_ids.is_cold])
