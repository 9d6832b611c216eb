"""Train and measure the baseline SASRec."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.compute_device import choose_device, explain_out_of_memory
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation.baselines.sasrec import Sasrec, SasrecRecommender, build_sasrec
from tiger_pipeline.evaluation.baselines.sasrec_checkpoint import (
    load_sasrec,
    read_sasrec_description,
    sasrec_fingerprint,
    save_sasrec,
)
from tiger_pipeline.evaluation.baselines.standard import SASREC
from tiger_pipeline.evaluation.protocol import evaluate, make_validator
from tiger_pipeline.generation.training import train_network
from tiger_pipeline.generation.training_state import TrainingRecord
from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.workflows.baseline_tables import write_baselines

if TYPE_CHECKING:
    import pyarrow as pa


def measure_sasrec(
    settings: Settings,
    sequences: UserSequences,
    directory: Path,
    work_directory: Path,
    retrain: bool,
    progress: Progress,
) -> "pa.Table":
    """Train SASRec, or keep the one of the same settings and inputs, and measure it.

    Args:
        settings: of the dataset.
        sequences: of all users.
        directory: replaced as a whole: weights, description, `metrics.parquet`, `ranks.parquet`.
        work_directory: where the state of an interrupted training is kept; removed at the end.
        retrain: train even if the finished network fits.
        progress: where to report.

    Returns:
        The long metrics table.

    Raises:
        TigerError: as `generation.training.train_network` and `evaluation.protocol.evaluate`.
    """
    config, training = settings.evaluation.sasrec, sequences.training()
    fingerprint = sasrec_fingerprint(config, training, sequences.n_items)
    finished = None if retrain else _finished(directory, fingerprint, settings, sequences)
    if finished:
        progress.note(
            f"The network in {directory} was trained with these settings on these inputs: it is "
            "kept. Set the config `retrain: true` to train it again."
        )
    model, record = finished or _train(settings, sequences, fingerprint, work_directory, progress)
    result = evaluate(
        SasrecRecommender(model, settings.evaluation.users_per_batch),
        sequences,
        settings.evaluation,
        SASREC,
        settings.data.split,
        progress,
    )
    with atomic_directory(directory) as scratch:
        save_sasrec(scratch, model, record, fingerprint)
        metrics = write_baselines(scratch, [result], sequences)
    shutil.rmtree(work_directory, ignore_errors=True)
    return metrics


def _finished(
    directory: Path, fingerprint: str, settings: Settings, sequences: UserSequences
) -> tuple[Sasrec, TrainingRecord] | None:
    try:
        described = read_sasrec_description(directory)
        if described["training_fingerprint"] != fingerprint:
            return None
        model = load_sasrec(directory, settings.evaluation.sasrec, sequences.n_items)
    except (ArtifactError, KeyError):
        return None
    history = described["history"]
    return model, TrainingRecord(len(history), described["best_epoch"], history=history)


def _train(
    settings: Settings,
    sequences: UserSequences,
    fingerprint: str,
    work_directory: Path,
    progress: Progress,
) -> tuple[Sasrec, TrainingRecord]:
    evaluation, device = settings.evaluation, choose_device()
    training = evaluation.sasrec.training
    model = build_sasrec(evaluation.sasrec, sequences.n_items).to(device.device)
    measure = make_validator(sequences, evaluation, training.validation_users, training.seed)
    recommender = SasrecRecommender(model, evaluation.users_per_batch, device)
    tokens = training.tokens_per_batch
    with explain_out_of_memory(
        f"Lower evaluation.sasrec.training.tokens_per_batch (now {tokens:,})"
    ):
        record = train_network(
            model,
            model.training_examples(sequences.training()),
            training,
            fingerprint,
            lambda: measure(recommender),
            work_directory,
            device,
            progress,
        )
    return model, record
