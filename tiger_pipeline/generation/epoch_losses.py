"""The losses of an epoch, read from the device some batches at a time."""

import math

import torch
from torch import Tensor

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.generation.config import TrainingConfig
from tiger_pipeline.progress import ProgressTask


class EpochLosses:
    """Sums the losses of an epoch and reports them.

    Reading a loss makes the host wait for the device. The losses of the last batches are kept
    there, read together, and only then checked and reported.
    """

    def __init__(
        self, epoch: int, training: TrainingConfig, steps_between_reads: int, task: ProgressTask
    ) -> None:
        """Start an epoch.

        Args:
            epoch: from 0.
            training: settings, which an error names.
            steps_between_reads: batches that are read together, at least 1.
            task: advanced by the examples of the batches that were read.
        """
        self._epoch = epoch
        self._training = training
        self._steps_between_reads = steps_between_reads
        self._task = task
        self._unread: list[Tensor] = []
        self._unread_targets: list[int] = []
        self._unread_examples = 0
        self._batches_read = 0
        self._sum = 0.0
        self._n_targets = 0

    def add(self, loss: Tensor, n_targets: int, n_examples: int) -> None:
        """Take in another batch.

        Args:
            loss: float32[], the mean over the batch's targets.
            n_targets: weigh the loss.
            n_examples: of the batch.

        Raises:
            ConfigurationError: the loss of a batch that was read is not finite.
        """
        self._unread.append(loss)
        self._unread_targets.append(n_targets)
        self._unread_examples += n_examples
        if len(self._unread) >= self._steps_between_reads:
            self._read()

    def mean(self) -> float:
        """Mean loss over all targets of all batches, which are read to the last one.

        Raises:
            ConfigurationError: the loss of a batch is not finite.
        """
        if self._unread:
            self._read()
        return self._sum / self._n_targets

    def _read(self) -> None:
        losses = torch.stack(self._unread).tolist()
        for loss, n_targets in zip(losses, self._unread_targets, strict=True):
            self._batches_read += 1
            if not math.isfinite(loss):
                raise ConfigurationError(
                    f"The training loss became {loss} in batch {self._batches_read} of epoch "
                    f"{self._epoch + 1}. Lower training.learning_rate (now "
                    f"{self._training.learning_rate}) or raise training.warmup_share (now "
                    f"{self._training.warmup_share}), and start again."
                )
            self._sum += loss * n_targets
            self._n_targets += n_targets
        self._task.advance(self._unread_examples, loss=losses[-1])
        self._unread, self._unread_targets, self._unread_examples = [], [], 0
