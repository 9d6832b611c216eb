"""Train a variant's generator, or keep the one that is there already."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.compute_device import choose_device, explain_out_of_memory
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.encoding.embedding_table import vectors_of_items
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation.fusion_fitting import fit_fusion, measure_fusion
from tiger_pipeline.evaluation.protocol import make_validator, validation_sample
from tiger_pipeline.generation.checkpoint import (
    load_generator,
    read_description,
    read_fusion,
    replace_fusion,
    save_generator,
)
from tiger_pipeline.generation.config import TrainingConfig
from tiger_pipeline.generation.fusion import FusedRecommender
from tiger_pipeline.generation.fusion_network import FusionNetwork
from tiger_pipeline.generation.generator import DenseGenerator, Generator
from tiger_pipeline.generation.item_prior import ItemPriors
from tiger_pipeline.generation.process_group import ALONE, ProcessGroup
from tiger_pipeline.generation.training import train_generator, training_fingerprint
from tiger_pipeline.progress import Progress
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.workflows.recommender import (
    fused_recommender_of,
    item_priors,
    recommender_of,
)

if TYPE_CHECKING:
    import pyarrow as pa


def train_or_reuse(
    settings: Settings,
    semantic_ids: SemanticIds,
    embeddings: "pa.Table",
    sequences: UserSequences,
    directory: Path,
    work_directory: Path,
    retrain: bool,
    progress: Progress,
    group: ProcessGroup = ALONE,
) -> bool:
    """Make `directory` hold the generator of these settings and inputs.

    Args:
        settings: of the dataset and the variant.
        semantic_ids: of all warm items.
        embeddings: of the same items' texts, for a generator that reads them.
        sequences: of all users, with the same items in the same order.
        directory: where the finished generator is, or will be.
        work_directory: where the state of an interrupted training is kept; removed at the end.
        retrain: train even if the finished generator fits.
        progress: where to report.
        group: the processes that train together, each called with the same arguments; the first
            one alone validates and writes.

    Returns:
        Whether a finished generator was kept instead of training one.

    Raises:
        TigerError: as `generation.training.train_generator` and `save_generator`.
    """
    training = sequences.training()
    config = settings.model.generator
    text = text_of(semantic_ids, embeddings) if config.reads_text else None
    fingerprint = training_fingerprint(config, settings.training, semantic_ids, training, text)
    if not retrain and group.from_first(lambda: _is_finished(directory, fingerprint)):
        progress.note(
            f"The generator in {directory} was trained with these settings on these inputs: it is "
            "kept. Set the config `retrain: true` to train it again."
        )
        if group.is_first:
            _renew_fusion(directory, settings, semantic_ids, sequences, progress)
        return True
    validation = _Validation(settings, semantic_ids, sequences)
    with explain_out_of_memory(_what_to_lower(settings.training)):
        result = train_generator(
            config,
            settings.training,
            semantic_ids,
            training,
            validate=validation.measure,
            work_directory=work_directory,
            device=choose_device(),
            progress=progress,
            text_embeddings=text,
            group=group,
        )
    if not group.is_first:
        return False
    fusion = None
    if isinstance(result.model, DenseGenerator):
        fusion = validation.fusion_of(result.model)
    save_generator(directory, result, settings.training, fusion)
    shutil.rmtree(work_directory, ignore_errors=True)
    return False


def text_of(semantic_ids: SemanticIds, embeddings: "pa.Table") -> np.ndarray:
    """Text embeddings float32[n_items, d] in the order of `semantic_ids`.

    Raises:
        ArtifactMismatchError: an item has no embedding.
    """
    return vectors_of_items(embeddings, semantic_ids.item_ids)


def _what_to_lower(training: TrainingConfig) -> str:
    now = training.tokens_per_micro_batch or training.tokens_per_batch
    return f"Lower training.tokens_per_micro_batch (now {now:,}; the batch stays what it is)"


def _is_finished(directory: Path, fingerprint: str) -> bool:
    try:
        return read_description(directory)["training_fingerprint"] == fingerprint
    except (ArtifactError, KeyError):
        return False


def _renew_fusion(
    directory: Path,
    settings: Settings,
    semantic_ids: SemanticIds,
    sequences: UserSequences,
    progress: Progress,
) -> None:
    """Fit the fusion of the scores anew where another version fitted one of its own."""
    if read_description(directory)["fusion"] is None:
        return
    try:
        read_fusion(directory)
    except ArtifactError:
        progress.note(f"The fusion of the scores in {directory} is fitted anew.")
        model = load_generator(directory, semantic_ids)
        assert isinstance(model, DenseGenerator)
        validation = _Validation(settings, semantic_ids, sequences)
        replace_fusion(directory, validation.fusion_of(model))


class _Validation:
    """Measures a generator on validation targets as it will recommend later.

    A generator with a dense head recommends by a fused score, so that is fitted at every
    validation: the epoch is chosen by what the whole can reach.
    """

    def __init__(
        self, settings: Settings, semantic_ids: SemanticIds, sequences: UserSequences
    ) -> None:
        self._training = settings.training
        self._evaluation = settings.evaluation
        self._item_core = settings.data.filter.item_core
        self._semantic_ids = semantic_ids
        self._sequences = sequences
        self._priors: ItemPriors | None = None
        self._validate_codes = make_validator(
            sequences, self._evaluation, self._training.validation_users, self._training.seed
        )

    def measure(self, model: Generator) -> dict[str, float]:
        """Metrics by name; see `evaluation.protocol.make_validator`."""
        if not isinstance(model, DenseGenerator):
            return self._validate_codes(recommender_of(model, self._semantic_ids, self._evaluation))
        return measure_fusion(*self._to_fit(model, self._training.validation_users))

    def fusion_of(self, model: DenseGenerator) -> FusionNetwork:
        """A fusion of its scores, fitted to the validation targets of `fusion_users` users."""
        return fit_fusion(*self._to_fit(model, model.config.fusion_users)).network

    def _to_fit(
        self, model: DenseGenerator, n_users: int
    ) -> tuple[FusedRecommender, Histories, np.ndarray, int, np.ndarray]:
        """The arguments of `fit_fusion`: it learns from what the filter keeps by training alone."""
        seed = self._training.seed
        histories, targets = validation_sample(self._sequences, n_users, seed)
        trained = self._sequences.training().items
        interactions = np.bincount(trained, minlength=self._sequences.n_items)
        return self._fused(model), histories, targets, seed, interactions >= self._item_core

    def _fused(self, model: DenseGenerator) -> FusedRecommender:
        if self._priors is None:
            self._priors = item_priors(self._sequences.training(), model.text_embeddings)
        return fused_recommender_of(
            model,
            self._semantic_ids,
            self._evaluation,
            self._priors,
            FusionNetwork.weighted_sum(),
        )
