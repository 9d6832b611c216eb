"""One step of training on a batch: computed in parts, and by several processes, if need be."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.compute_device import ComputeDevice
from tiger_pipeline.generation.batching import cut_by_tokens
from tiger_pipeline.generation.config import TrainingConfig
from tiger_pipeline.generation.generator import Examples, TrainableNetwork
from tiger_pipeline.generation.process_group import ProcessGroup


@dataclass(frozen=True)
class OptimizationStep:
    """Takes steps that depend on the batch alone, not on who computes which part of it.

    Attributes:
        model: on `device`.
        optimizer: over its parameters.
        examples: of `model`, from which batches are taken.
        training: settings.
        device: where to compute.
        group: the processes that share every batch; all of them take each step.
    """

    model: TrainableNetwork
    optimizer: torch.optim.Optimizer
    examples: Examples
    training: TrainingConfig
    device: ComputeDevice
    group: ProcessGroup

    def take(self, rows: np.ndarray, learning_rate: float) -> tuple[Tensor, int]:
        """Step on the examples at `rows` (int64[m], by ascending length).

        Returns:
            Mean loss float32[] over all targets of the batch, and their number.
        """
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss, n_targets = self._add_gradients(rows)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self.group.add_up([loss, *gradients])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        self.optimizer.step()
        return loss, n_targets

    def _add_gradients(self, rows: np.ndarray) -> tuple[Tensor, int]:
        """What this process's share adds to the batch's mean loss and to its gradients."""
        share = self.group.share(rows)
        # Without a row it computes one for nothing: gradients of the same parameters are exchanged.
        computed, counts = (share, 1) if len(share) else (rows[:1], 0)
        tokens = self.training.tokens_per_micro_batch or self.training.tokens_per_batch
        parts = cut_by_tokens(computed, self.examples.lengths, tokens)
        batches = [self.examples.batch(part) for part in parts]
        n_targets = self.group.total(counts * sum(batch.n_targets for batch in batches))
        mean_loss = torch.zeros((), device=self.device.device)
        for batch in batches:
            with self.device.autocast():
                loss = self.model(batch.to(self.device.device))
            weighted = loss * (counts * batch.n_targets / n_targets)
            weighted.backward()
            mean_loss += weighted.detach()
        return mean_loss, n_targets
