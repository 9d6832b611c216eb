"""Training of a network: epochs, validation, early stopping, going on after a kill."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice
from tiger_pipeline.errors import ArtifactError, InputError
from tiger_pipeline.generation.batching import plan_batches
from tiger_pipeline.generation.compilation import compiled_layers
from tiger_pipeline.generation.config import GeneratorConfig, TrainingConfig
from tiger_pipeline.generation.epoch_losses import EpochLosses
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.generator import Examples, Generator, TrainableNetwork
from tiger_pipeline.generation.optimization_step import OptimizationStep
from tiger_pipeline.generation.process_group import ALONE, ProcessGroup
from tiger_pipeline.generation.training_state import TrainingRecord
from tiger_pipeline.generation.weight_average import WeightAverage
from tiger_pipeline.progress import NoProgress, Progress, ProgressTask
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.fingerprint import fingerprint_array, fingerprint_json
from tiger_pipeline.storage.training_state import epoch_seed, restore_epoch, save_epoch

VALIDATION_METRIC = "ndcg@10"
"""Key of what `validate` returns by which the epoch is chosen."""


@dataclass(frozen=True)
class TrainingResult:
    """A trained generator and how it came about.

    Attributes:
        model: with the weights of the best epoch, in evaluation mode.
        history: a row an epoch: epoch (from 1), train_loss (nats a code), learning_rate (at its
            end), valid_ndcg@10 (None in epochs without validation), seconds.
        best_epoch: the epoch with the highest validation NDCG@10.
        seconds: of all epochs and validations, those before an interruption included.
        parameters: trained numbers.
        fingerprint: of all that decided the weights, see `training_fingerprint`.
    """

    model: Generator
    history: list[dict[str, Any]]
    best_epoch: int
    seconds: float
    parameters: int
    fingerprint: str


def learning_rate_at(share: float, training: TrainingConfig) -> float:
    """Learning rate when `share` (0…1) of all epochs is done: linear warm-up, then a cosine.

    A function of the share alone, so that resuming needs no scheduler state.
    """
    if share < training.warmup_share:
        return training.learning_rate * share / training.warmup_share
    after_warmup = (share - training.warmup_share) / (1 - training.warmup_share)
    cosine = 0.5 * (1 + math.cos(math.pi * after_warmup))
    floor = training.final_learning_rate_share
    return training.learning_rate * (floor + (1 - floor) * cosine)


def build_optimizer(model: TrainableNetwork, training: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW; weight decay only on matrices, not on biases and norms."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": training.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=(0.9, 0.98), fused=True)


def train_epoch(
    model: TrainableNetwork,
    optimizer: torch.optim.Optimizer,
    examples: Examples,
    training: TrainingConfig,
    epoch: int,
    device: ComputeDevice,
    task: ProgressTask,
    average: WeightAverage | None = None,
    group: ProcessGroup = ALONE,
) -> tuple[float, float]:
    """One pass over all examples. All that is random in it follows from (seed, epoch, rank).

    Args:
        model: on `device`.
        optimizer: over its parameters.
        examples: of `model`.
        training: settings.
        epoch: from 0.
        device: where to compute.
        task: advanced by the examples of every batch.
        average: of the weights, updated after every step.
        group: the processes that share every batch; all of them take part.

    Returns:
        Mean loss over all targets of all processes, and the last learning rate.

    Raises:
        ConfigurationError: the loss is not finite.
    """
    seed = epoch_seed(training.seed, epoch)
    batches = plan_batches(examples.lengths, training.tokens_per_batch, np.random.default_rng(seed))
    model.train()
    losses, rate = EpochLosses(epoch, training, device.steps_between_reads, task), 0.0
    step = OptimizationStep(model, optimizer, examples, training, device, group)
    with device.seeded(epoch_seed(training.seed, epoch, group.rank)):
        for index, rows in enumerate(batches):
            rate = learning_rate_at(
                (epoch + (index + 1) / len(batches)) / training.max_epochs, training
            )
            loss, n_targets = step.take(rows, rate)
            if average is not None:
                average.update()
            losses.add(loss, n_targets, len(rows))
    return losses.mean(), rate


def training_fingerprint(
    config: GeneratorConfig,
    training: TrainingConfig,
    semantic_ids: SemanticIds,
    train_histories: Histories,
    text_embeddings: np.ndarray | None = None,
) -> str:
    """Fingerprint of all that decides the weights; a state with another one is not resumed.

    Who computes which part of a batch decides no more than rounding and what dropout draws: an
    interrupted training goes on with another number of processes or another size of the parts.

    Args:
        config: the network.
        training: the training.
        semantic_ids: of the catalog.
        train_histories: training interactions.
        text_embeddings: of the items, where `config.reads_text`.
    """
    inputs = [
        config.model_dump(),
        # A setting that is off (None) counts for nothing: what was trained before it existed stays.
        training.model_dump(exclude_none=True, exclude={"tokens_per_micro_batch"}),
        semantic_ids.fingerprint,
        fingerprint_array(train_histories.offsets),
        fingerprint_array(train_histories.items),
    ]
    if text_embeddings is not None:
        inputs.append(fingerprint_array(text_embeddings))
    return fingerprint_json(inputs)


class _Run:
    """A training under way: the network, its optimizer and the record, saved after each epoch."""

    def __init__(
        self,
        model: TrainableNetwork,
        training: TrainingConfig,
        fingerprint: str,
        work_directory: Path,
        progress: Progress,
        group: ProcessGroup,
    ) -> None:
        self.model = model
        self.training = training
        self.progress = progress
        self.group = group
        self.optimizer = build_optimizer(model, training)
        decay = training.ema_decay
        self.average = None if decay is None else WeightAverage(model, decay)
        self.record = TrainingRecord()
        self.best_weights: dict[str, Tensor] = {}
        self._fingerprint = fingerprint
        self._work_directory = work_directory
        self._resume()

    def _resume(self) -> None:
        found = restore_epoch(
            self._work_directory,
            self._fingerprint,
            TrainingRecord,
            self.model,
            self.optimizer,
            self.progress,
            self.average,
        )
        if found is not None:
            self.record, self.best_weights = found
            self.progress.note(f"Training goes on after epoch {self.record.epochs_done}.")
        if self.group.from_first(lambda: self.record.epochs_done) != self.record.epochs_done:
            raise ArtifactError(
                f"The processes of this training find different states in {self._work_directory}. "
                "The artifact store must be a folder that all of their machines share."
            )

    @property
    def finished(self) -> bool:
        """All epochs are done, or the best one is too long ago."""
        return (
            self.record.epochs_done >= self.training.max_epochs
            or self.record.validations_without_gain >= self.training.patience
        )

    def is_validated(self, epoch: int) -> bool:
        """Whether a validation follows `epoch` (from 1); the last one always has one."""
        return epoch % self.training.validate_every == 0 or epoch == self.training.max_epochs

    def validated_weights(self) -> AbstractContextManager[None]:
        """While it is open, the network has the weights that are validated and kept."""
        return nullcontext() if self.average is None else self.average.in_place()

    def note_validation(self, value: float) -> None:
        """Keep the weights if `value` is the best NDCG@10 so far."""
        if value > self.record.best_value:
            self.record.best_value = value
            self.record.best_epoch = self.record.epochs_done
            self.record.validations_without_gain = 0
            self.best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
        else:
            self.record.validations_without_gain += 1

    def save(self) -> None:
        """Write the state after the epoch; it is the same in all processes."""
        if not self.group.is_first:
            return
        save_epoch(
            self._work_directory,
            self._fingerprint,
            asdict(self.record),
            self.model,
            self.optimizer,
            self.best_weights,
            self.average,
        )


def train_generator(
    config: GeneratorConfig,
    training: TrainingConfig,
    semantic_ids: SemanticIds,
    train_histories: Histories,
    validate: Callable[[Generator], dict[str, float]],
    work_directory: Path,
    device: ComputeDevice,
    progress: Progress | None = None,
    text_embeddings: np.ndarray | None = None,
    group: ProcessGroup = ALONE,
) -> TrainingResult:
    """Train a generator and return it with the weights of its best epoch.

    After every epoch its state is saved in `work_directory`; when a run is killed, the next call
    with the same arguments goes on from there and ends with the same weights, bit for bit. The
    state stays there at the end: remove the folder once the result is saved elsewhere.

    Args:
        config: the network.
        training: the training.
        semantic_ids: of the catalog.
        train_histories: training interactions only (`UserSequences.training`).
        validate: metrics of the model it is given on validation targets; `ndcg@10` among them.
        work_directory: folder for the state.
        device: where to compute.
        progress: where to report.
        text_embeddings: float32[n_items, d], in the order of `semantic_ids`, for a network that
            reads them (`config.reads_text`).
        group: the processes that train it together, each called with the same arguments. The
            first one alone validates and writes.

    Raises:
        InputError: no history has an interaction, or the text embeddings do not fit.
        ConfigurationError: the loss is not finite, or the network could not be compiled.
        ArtifactError: the state could not be written.
    """
    model = build_generator(config, semantic_ids, training.seed, text_embeddings)
    model = model.to(device.device)
    fingerprint = training_fingerprint(
        config, training, semantic_ids, train_histories, text_embeddings
    )
    record = train_network(
        model,
        model.training_examples(train_histories),
        training,
        fingerprint,
        lambda: validate(model),
        work_directory,
        device,
        progress,
        group,
    )
    return TrainingResult(
        model=model,
        history=record.history,
        best_epoch=record.best_epoch,
        seconds=record.seconds,
        parameters=sum(p.numel() for p in model.parameters()),
        fingerprint=fingerprint,
    )


def train_network(
    model: TrainableNetwork,
    examples: Examples,
    training: TrainingConfig,
    fingerprint: str,
    validate: Callable[[], dict[str, float]],
    work_directory: Path,
    device: ComputeDevice,
    progress: Progress | None = None,
    group: ProcessGroup = ALONE,
) -> TrainingRecord:
    """Train `model` in place; it ends in evaluation mode with the weights of its best epoch.

    Saved and resumed as described for `train_generator`.

    Args:
        model: with fresh weights, on `device`.
        examples: to train on.
        training: the training.
        fingerprint: of all that decides the weights; a state with another one is not resumed.
        validate: metrics of `model` as it is, on validation targets; `ndcg@10` among them.
        work_directory: folder for the state.
        device: where to compute.
        progress: where to report.
        group: as for `train_generator`.

    Raises:
        InputError: there is no example.
        ConfigurationError: the loss is not finite, or the network could not be compiled.
        ArtifactError: the state could not be written.
    """
    progress = progress or NoProgress()
    n_examples = len(examples.lengths)
    if n_examples == 0:
        raise InputError(
            "No user has a training interaction, so nothing can be trained. "
            "Check the dataset's filters: the asset interactions has no row of the split train."
        )
    run = _Run(model, training, fingerprint, work_directory, progress, group)
    epochs_left = training.max_epochs - run.record.epochs_done
    with (
        compiled_layers(model) if training.compile else nullcontext(),
        progress.task("Training", epochs_left * n_examples, "sequences") as task,
    ):
        while not run.finished:
            _run_epoch(run, examples, validate, device, task)
    model.load_state_dict(run.best_weights)
    model.eval()
    return run.record


def _run_epoch(
    run: _Run,
    examples: Examples,
    validate: Callable[[], dict[str, float]],
    device: ComputeDevice,
    task: ProgressTask,
) -> None:
    started = time.monotonic()
    epoch = run.record.epochs_done
    loss, rate = train_epoch(
        run.model,
        run.optimizer,
        examples,
        run.training,
        epoch,
        device,
        task,
        run.average,
        run.group,
    )
    run.record.epochs_done = epoch + 1
    value = None
    if run.is_validated(epoch + 1):
        run.model.eval()
        with run.validated_weights():
            value = run.group.from_first(lambda: float(validate()[VALIDATION_METRIC]))
            run.note_validation(value)
    seconds = time.monotonic() - started
    run.record.history.append(
        {
            "epoch": epoch + 1,
            "train_loss": loss,
            "learning_rate": rate,
            f"valid_{VALIDATION_METRIC}": value,
            "seconds": seconds,
        }
    )
    run.save()
    shown = "" if value is None else f", validation NDCG@10 {value:.4f}"
    run.progress.note(f"Epoch {epoch + 1}: loss {loss:.4f}{shown}, {seconds:.1f} s")
