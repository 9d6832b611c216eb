"""Fit a variant's quantizer, and give every warm item its semantic ID with it."""

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.encoding.embedding_table import vectors_of
from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.collaborative_kmeans import CollaborativeKMeans
from tiger_pipeline.quantization.config import (
    READ_INTERACTIONS,
    KMeansStartConfig,
    QuantizerConfig,
)
from tiger_pipeline.quantization.drift import error_percentiles
from tiger_pipeline.quantization.quantizer import (
    Quantizer,
    fit_quantizer,
    load_quantizer,
    read_quantizer_metadata,
    save_quantizer,
)
from tiger_pipeline.quantization.statistics import code_statistics
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.fingerprint import (
    fingerprint_array,
    fingerprint_json,
    fingerprint_table,
)
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class CodebookFacts:
    """What is kept beside the codebooks.

    Attributes:
        embeddings_fingerprint: of the table they were fitted on.
        statistics: see `quantization.statistics.code_statistics`.
        seconds: of fitting.
        error_percentiles: see `quantization.drift.error_percentiles`.
        interactions_fingerprint: of the training interactions, where they were fitted on these.
    """

    embeddings_fingerprint: str
    statistics: dict[str, Any]
    seconds: float
    error_percentiles: list[float] = field(default_factory=list)
    interactions_fingerprint: str | None = None


def fit_codebooks(
    config: QuantizerConfig,
    embeddings: "pa.Table",
    directory: Path,
    work_directory: Path,
    progress: Progress,
    training: Histories | None = None,
) -> CodebookFacts:
    """Fit a quantizer on the embeddings of all warm items and save it in `directory`.

    Args:
        config: of the quantizer.
        embeddings: of all warm items.
        directory: of the finished codebooks.
        work_directory: where the state of an interrupted training is kept; removed at the end.
        progress: where to report.
        training: training interactions of the same items in the same order, for a quantizer that
            is fitted on them.

    Raises:
        InputError: an embedding is not finite.
        ConfigurationError: there are fewer distinct embeddings than codewords.
        ArtifactError: it could not be written.
    """
    vectors = vectors_of(embeddings)
    started = time.monotonic()
    quantizer = fit_quantizer(config, vectors, progress, work_directory, training)
    seconds = time.monotonic() - started
    if quantizer.history is not None:
        # Epochs before an interruption count as well.
        seconds = max(seconds, sum(row["seconds"] for row in quantizer.history.rows))
    codes = quantizer.assign(vectors)
    facts = CodebookFacts(
        embeddings_fingerprint=fingerprint_table(embeddings),
        seconds=seconds,
        statistics=_statistics(quantizer, vectors, codes),
        # Items that come later have nothing but their text: so they are compared by it.
        error_percentiles=error_percentiles(quantizer, vectors, codes),
        interactions_fingerprint=interactions_fingerprint(config, training),
    )
    save_quantizer(directory, quantizer, vars(facts))
    shutil.rmtree(work_directory, ignore_errors=True)
    return facts


def _statistics(quantizer: Quantizer, vectors: np.ndarray, codes: np.ndarray) -> dict[str, Any]:
    if isinstance(quantizer, CollaborativeKMeans) and quantizer.fitted is not None:
        return code_statistics(quantizer.kmeans, quantizer.fitted, quantizer.fitted_codes)
    return code_statistics(quantizer, vectors, codes)


def interactions_fingerprint(config: QuantizerConfig, training: Histories | None) -> str | None:
    """Of the interactions that a quantizer is fitted on; None for one that reads none."""
    if training is None or config.kind not in READ_INTERACTIONS:
        return None
    return fingerprint_json(
        [fingerprint_array(training.offsets), fingerprint_array(training.items)]
    )


def read_training(
    store: ArtifactStore, dataset: str, config: QuantizerConfig, embeddings: "pa.Table"
) -> Histories | None:
    """The training interactions of the items of `embeddings`; None for a quantizer without need.

    Raises:
        ArtifactError: the interactions are missing or damaged.
        InputError: an interaction is of another item.
    """
    if config.kind not in READ_INTERACTIONS:
        return None
    interactions = read_table(store.fetch(store.table("interactions", dataset)))
    return UserSequences.from_table(interactions, embeddings["item_id"].to_pylist()).training()


def fetch_initial_codebooks(store: ArtifactStore, config: QuantizerConfig) -> None:
    """Fetch the codebooks that a quantizer starts from, if they are an artifact of the store.

    Raises:
        ArtifactError: the store cannot be read.
    """
    if isinstance(config, KMeansStartConfig) and config.initial_codebooks is not None:
        path = Path(config.initial_codebooks)
        if path.is_relative_to(store.root):
            store.fetch(path.parent)


def read_codebook_facts(directory: Path) -> CodebookFacts:
    """What `fit_codebooks` kept beside the codebooks in `directory`.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return CodebookFacts(**read_quantizer_metadata(directory))


def assign_semantic_ids(directory: Path, embeddings: "pa.Table") -> SemanticIds:
    """Semantic IDs of all items of `embeddings`, by the quantizer in `directory`.

    Raises:
        ArtifactError: the quantizer is missing or damaged.
        ArtifactMismatchError: it was fitted on other embeddings.
    """
    fitted_on = read_codebook_facts(directory).embeddings_fingerprint
    given = fingerprint_table(embeddings)
    if fitted_on != given:
        raise ArtifactMismatchError(
            f"The codebooks in {directory} were fitted on other embeddings (fingerprint "
            f"{fitted_on}, now {given}). Materialize the asset codebooks again, then semantic_ids."
        )
    quantizer = load_quantizer(directory)
    if isinstance(quantizer, CollaborativeKMeans):
        codes = quantizer.fitted_codes
    else:
        codes = quantizer.assign(vectors_of(embeddings))
    return SemanticIds.from_codes(embeddings["item_id"].to_numpy(), codes, quantizer.codebook_sizes)
