"""Measure a variant on items that neither its codebooks nor its generator have ever seen."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.encoding.embedding_table import select_items, vectors_of, vectors_of_items
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation.baselines.semantic_knn import SemanticKnn
from tiger_pipeline.evaluation.cold_start import measure_recommenders
from tiger_pipeline.evaluation.cold_start_report import ColdStartReport, write_cold_start_report
from tiger_pipeline.evaluation.cold_start_split import ColdStartSplit, hold_out_items
from tiger_pipeline.evaluation.protocol import make_validator
from tiger_pipeline.evaluation.result_tables import codes_alone_row
from tiger_pipeline.generation.checkpoint import read_description
from tiger_pipeline.generation.cold_share import ColdStartRecommender
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.quantizer import Quantizer, load_quantizer
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.storage.fingerprint import fingerprint_table
from tiger_pipeline.workflows.codebooks import (
    assign_semantic_ids,
    fit_codebooks,
    interactions_fingerprint,
    read_codebook_facts,
)
from tiger_pipeline.workflows.recommender import load_searching_recommenders
from tiger_pipeline.workflows.training import train_or_reuse

if TYPE_CHECKING:
    import pyarrow as pa

SEMANTIC_KNN = "Semantic_KNN"
RECENT_ITEMS = (1, 2, 3, 5, 10, 20, 50)
"""Lengths of history that are tried for the kNN on validation."""


@dataclass(frozen=True)
class ColdStartFolders:
    """Where the protocol keeps what it makes.

    Attributes:
        model: codebooks and generator, kept when they are finished.
        work: the state of an interrupted training.
        report: replaced as a whole.
    """

    model: Path
    work: Path
    report: Path


@dataclass(frozen=True)
class ColdStartMeasurement:
    """A report as it is shown."""

    report: ColdStartReport
    markdown: str
    picture: bytes


def measure_cold_start(
    dataset: str,
    variant: str,
    settings: Settings,
    embeddings: "pa.Table",
    sequences: UserSequences,
    folders: ColdStartFolders,
    retrain: bool,
    progress: Progress,
) -> ColdStartMeasurement:
    """Hold items out, fit codebooks and train a generator without them, and measure for every ε.

    Codebooks and generator of the same settings and inputs are kept; a training that was
    interrupted goes on.

    Args:
        dataset: name.
        variant: name; also of the generator's rows.
        settings: of both.
        embeddings: of all warm items' texts.
        sequences: of all users, over the same items.
        folders: where to keep what is made.
        retrain: train even if the finished generator fits.
        progress: where to report.

    Raises:
        TigerError: as `workflows.training.train_or_reuse` and `workflows.codebooks.fit_codebooks`.
    """
    import pyarrow as pa

    config = settings.evaluation.cold_start
    split = hold_out_items(sequences, config.held_out_share, config.seed)
    warm_ids = pa.array(split.training.item_ids, pa.string())
    warm = select_items(embeddings, warm_ids)
    cold_text = vectors_of_items(embeddings, split.cold_item_ids)
    grown = _semantic_ids(settings, warm, cold_text, split, folders.model / "codebooks", progress)
    generator = folders.model / "generator"
    train_or_reuse(
        settings, grown.warm, warm, split.training, generator, folders.work, retrain, progress
    )
    whole, codes_alone = load_searching_recommenders(
        generator, grown, split.training.training, settings.evaluation, embeddings
    )
    text = np.concatenate([vectors_of(warm), cold_text])
    recent_items = choose_recent_items(settings, text[: grown.n_warm], split.training)
    recommenders: dict[str, ColdStartRecommender] = {variant: whole}
    if codes_alone is not None:
        recommenders[codes_alone_row(variant)] = codes_alone
    recommenders[SEMANTIC_KNN] = SemanticKnn(text, grown.n_warm, recent_items)
    started = time.monotonic()
    metrics = measure_recommenders(recommenders, split, config, progress)
    facts = _facts(sequences, split, settings, generator)
    facts |= {
        "knn_recent_items": recent_items,
        "evaluation_seconds": round(time.monotonic() - started, 1),
    }
    report = ColdStartReport(f"{dataset}, {variant}", metrics, variant, SEMANTIC_KNN, facts)
    with atomic_directory(folders.report) as scratch:
        markdown, picture = write_cold_start_report(scratch, report)
    return ColdStartMeasurement(report, markdown, picture)


def _semantic_ids(
    settings: Settings,
    warm: "pa.Table",
    cold_text: np.ndarray,
    split: ColdStartSplit,
    directory: Path,
    progress: Progress,
) -> SemanticIds:
    """The warm items' IDs by codebooks fitted on them, and the cold items' by the same."""
    training = split.training.training()
    quantizer = _finished_quantizer(settings, warm, training, directory)
    if quantizer is None:
        fit_codebooks(
            settings.model.quantizer,
            warm,
            directory,
            directory.with_suffix(".state"),
            progress,
            training,
        )
        quantizer = load_quantizer(directory)
    cold = SemanticIds.from_codes(
        split.cold_item_ids.tolist(), quantizer.assign(cold_text), quantizer.codebook_sizes
    )
    return assign_semantic_ids(directory, warm).grown(cold)


def _finished_quantizer(
    settings: Settings, warm: "pa.Table", training: Histories, directory: Path
) -> Quantizer | None:
    config = settings.model.quantizer
    try:
        facts = read_codebook_facts(directory)
        quantizer = load_quantizer(directory)
    except (ArtifactError, TypeError):
        return None
    fits = (
        quantizer.config == config
        and facts.embeddings_fingerprint == fingerprint_table(warm)
        and facts.interactions_fingerprint == interactions_fingerprint(config, training)
    )
    return quantizer if fits else None


def choose_recent_items(settings: Settings, warm_text: np.ndarray, training: UserSequences) -> int:
    """The length of history with the kNN's best validation NDCG@10; of equal ones the shortest."""
    validate = make_validator(
        training,
        settings.evaluation,
        settings.training.validation_users,
        settings.training.seed,
    )
    reached = {
        n: validate(SemanticKnn(warm_text, len(warm_text), n))["ndcg@10"] for n in RECENT_ITEMS
    }
    return max(reached, key=lambda n: reached[n])


def _facts(
    sequences: UserSequences, split: ColdStartSplit, settings: Settings, generator: Path
) -> dict[str, Any]:
    description = read_description(generator)
    _, targets = sequences.evaluation("test")
    return {
        "held_out_items": len(split.cold_item_ids),
        "test_items": len(np.unique(targets)),
        "items": sequences.n_items,
        "seed": settings.evaluation.cold_start.seed,
        "users_left_out": split.users_left_out,
        "targets_left_out": len(targets) - len(split.targets),
        "training_seed": settings.training.seed,
        "training_seconds": round(description["seconds"], 1),
        "best_epoch": description["best_epoch"],
    }
