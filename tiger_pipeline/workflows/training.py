"""Train a variant's generator, or keep the one that is there already."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.compute_device import choose_device
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation.protocol import make_validator
from tiger_pipeline.generation.checkpoint import read_description, save_generator
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.training import train_generator, training_fingerprint
from tiger_pipeline.progress import Progress
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.workflows.recommender import recommender_of


def train_or_reuse(
    settings: Settings,
    semantic_ids: SemanticIds,
    sequences: UserSequences,
    directory: Path,
    work_directory: Path,
    retrain: bool,
    progress: Progress,
) -> bool:
    """Make `directory` hold the generator of these settings and inputs.

    Args:
        settings: of the dataset and the variant.
        semantic_ids: of all warm items.
        sequences: of all users, with the same items in the same order.
        directory: where the finished generator is, or will be.
        work_directory: where the state of an interrupted training is kept; removed at the end.
        retrain: train even if the finished generator fits.
        progress: where to report.

    Returns:
        Whether a finished generator was kept instead of training one.

    Raises:
        TigerError: as `generation.training.train_generator` and `save_generator`.
    """
    training = sequences.training()
    config = settings.model.generator
    fingerprint = training_fingerprint(config, settings.training, semantic_ids, training)
    if not retrain and _is_finished(directory, fingerprint):
        progress.note(
            f"The generator in {directory} was trained with these settings on these inputs: it is "
            "kept. Set the config `retrain: true` to train it again."
        )
        return True
    result = train_generator(
        config,
        settings.training,
        semantic_ids,
        training,
        validate=_validator(settings, semantic_ids, sequences),
        work_directory=work_directory,
        device=choose_device(),
        progress=progress,
    )
    save_generator(directory, result, settings.training)
    shutil.rmtree(work_directory, ignore_errors=True)
    return False


def _is_finished(directory: Path, fingerprint: str) -> bool:
    try:
        return read_description(directory)["training_fingerprint"] == fingerprint
    except (ArtifactError, KeyError):
        return False


def _validator(
    settings: Settings, semantic_ids: SemanticIds, sequences: UserSequences
) -> Callable[[Generator], dict[str, float]]:
    training = settings.training
    validate = make_validator(
        sequences, settings.evaluation, training.validation_users, training.seed
    )
    return lambda model: validate(recommender_of(model, semantic_ids, settings.evaluation))
