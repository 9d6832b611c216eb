"""The training loop of the quantizing autoencoders."""

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.training_history import TrainingHistory
from tiger_pipeline.quantization.vae.evaluation import badness, evaluate_codes
from tiger_pipeline.quantization.vae.model import Quantization, QuantizingAutoencoder
from tiger_pipeline.storage.fingerprint import fingerprint_array, fingerprint_json
from tiger_pipeline.storage.training_state import epoch_seed, restore_epoch, save_epoch

_SAVE_EVERY_SECONDS = 10.0


class AutoencoderTraining:
    """A training under way.

    Attributes:
        model: as it is now.
        optimizer: over its parameters.
        rows: of `TrainingHistory`, so far.
        best_epoch: of those; 0 before the first evaluated one.
        best_weights: of `model` after that epoch.
    """

    def __init__(
        self,
        model: QuantizingAutoencoder,
        vectors: Tensor,
        work_directory: Path | None = None,
        save_every_seconds: float = _SAVE_EVERY_SECONDS,
    ) -> None:
        self.model = model
        self.optimizer = _build_optimizer(model)
        self.rows: list[dict[str, Any]] = []
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}
        self._vectors = vectors
        self._work_directory = work_directory
        self._save_every_seconds = save_every_seconds
        self._saved_at = time.monotonic()
        self._fingerprint = ""

    def resume(self, progress: Progress) -> None:
        """Go on with the state in the work directory, if there is one that fits."""
        if self._work_directory is None:
            return
        self._fingerprint = fingerprint_json(
            [
                self.model.config.model_dump(mode="json"),
                fingerprint_array(self._vectors.cpu().numpy()),
            ]
        )
        found = restore_epoch(
            self._work_directory,
            self._fingerprint,
            TrainingHistory,
            self.model,
            self.optimizer,
            progress,
        )
        if found is not None:
            history, self.best_weights = found
            self.rows, self.best_epoch = list(history.rows), history.best_epoch
            progress.note(f"Training goes on after epoch {len(self.rows)}.")

    def save(self) -> None:
        """Write the state, if the last one that was written is old enough."""
        due = time.monotonic() - self._saved_at >= self._save_every_seconds
        if self._work_directory is not None and due:
            save_epoch(
                self._work_directory,
                self._fingerprint,
                asdict(self.history),
                self.model,
                self.optimizer,
                self.best_weights,
            )
            self._saved_at = time.monotonic()

    @property
    def history(self) -> TrainingHistory:
        """All epochs so far."""
        return TrainingHistory(self.rows, self.best_epoch)

    def run_epoch(self) -> None:
        """Train one more epoch, evaluate it if it is its turn, and keep the best weights."""
        started = time.monotonic()
        config = self.model.config
        epoch = len(self.rows) + 1
        row = _train_epoch(self.model, self.optimizer, self._vectors, epoch)
        evaluated = epoch % config.evaluate_every == 0 or epoch == config.epochs
        figures = evaluate_codes(self.model, self._vectors) if evaluated else _NOT_EVALUATED
        self.rows.append({**row, **figures, "seconds": time.monotonic() - started})
        if evaluated and self._is_best(self.rows[-1]):
            self.best_epoch = epoch
            self.best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}

    def _is_best(self, row: dict[str, Any]) -> bool:
        if not self.best_epoch:
            return True
        choose_by = self.model.config.choose_by
        return badness(row, choose_by) < badness(self.rows[self.best_epoch - 1], choose_by)


def train_autoencoder(
    model: QuantizingAutoencoder,
    vectors: Tensor,
    progress: Progress,
    work_directory: Path | None = None,
    save_every_seconds: float = _SAVE_EVERY_SECONDS,
) -> TrainingHistory:
    """Train `model` in place and leave it with the weights of its best epoch.

    Batches are cut on the device from a shuffle of all items; the host waits for the device once
    an epoch, for the losses. Now and then the state is saved in `work_directory`; when a run is
    killed, the next call with the same arguments goes on from there and ends with the same weights,
    bit for bit. The state stays there at the end: remove it once the result is saved elsewhere.

    Args:
        model: with initial codebooks, on the device of `vectors`.
        vectors: float32[n, d], the prepared vectors of all items.
        progress: told of every epoch.
        work_directory: folder for the state; None to keep none.
        save_every_seconds: the state is saved after an epoch once the last one is as old as this.

    Raises:
        ConfigurationError: the loss is not finite.
        ArtifactError: the state could not be written.
    """
    run = AutoencoderTraining(model, vectors, work_directory, save_every_seconds)
    run.resume(progress)
    epochs_left = model.config.epochs - len(run.rows)
    with progress.task("Training the autoencoder", epochs_left, "epochs") as task:
        for _ in range(epochs_left):
            run.run_epoch()
            run.save()
            task.advance(loss=run.rows[-1]["loss"])
    model.load_state_dict(run.best_weights)
    return run.history


_NOT_EVALUATED = dict.fromkeys(
    ("perplexity", "utilization", "colliding_items", "reconstruction_mse")
)


def _build_optimizer(model: QuantizingAutoencoder) -> torch.optim.Optimizer:
    """AdamW; weight decay on the layers only, as it would pull codewords to the origin."""
    layers = [*model.encoder.parameters(), *model.decoder.parameters()]
    groups = [
        {"params": layers, "weight_decay": model.config.weight_decay},
        {"params": list(model.codebooks.parameters()), "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=model.config.learning_rate, fused=True
    )


def _train_epoch(
    model: QuantizingAutoencoder,
    optimizer: torch.optim.Optimizer,
    vectors: Tensor,
    epoch: int,
) -> dict[str, Any]:
    """One pass over all items; returns its row of the history, less the evaluation."""
    config = model.config
    seed = epoch_seed(config.seed, epoch)
    generator = torch.Generator(vectors.device).manual_seed(seed)
    gumbel_scale = gumbel_scale_at(epoch, config.epochs)
    order = torch.randperm(len(vectors), device=vectors.device, generator=generator)
    batches = order.tensor_split(math.ceil(len(vectors) / config.batch_size))
    totals = vectors.new_zeros(4)
    uses = vectors.new_zeros((len(model.codebooks), config.codewords))
    for rows in batches:
        loss, reconstruction, quantization = model.loss(vectors[rows], generator, gumbel_scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses = [loss, reconstruction, quantization.codebook_loss, quantization.commitment_loss]
        totals += torch.stack(losses).detach()
        _observe(model, quantization, uses)
    restarted = _restart_unused(model, quantization, uses, generator)
    *means, n_restarted = [*(totals / len(batches)).tolist(), int(restarted)]
    names = ("loss", "reconstruction_loss", "codebook_loss", "commitment_loss")
    if not math.isfinite(means[0]):
        raise ConfigurationError(
            f"The quantizer's loss became {means[0]} in epoch {epoch}. Lower its `learning_rate` "
            f"(now {config.learning_rate}) and fit it again."
        )
    return {"epoch": epoch, **dict(zip(names, means, strict=True)), "restarted": n_restarted}


def gumbel_scale_at(epoch: int, epochs: int) -> float:
    """Scale of the Gumbel noise in `epoch` (from 1): falls from 1 to 0 along a line."""
    return 1 - (epoch - 1) / max(epochs - 1, 1)


def _observe(model: QuantizingAutoencoder, quantization: Quantization, uses: Tensor) -> None:
    """Let the codebooks see the batch, and count in `uses` how often codewords were nearest.

    Under Sinkhorn every codeword is used in training; one that is nearest to nothing would still
    go unused afterwards.
    """
    for level, codes in enumerate(quantization.codes):
        model.codebook(level).observe(quantization.inputs[level], codes)
        nearest = quantization.nearest[level]
        ones = torch.ones_like(nearest, dtype=uses.dtype)
        uses[level % len(uses)].index_add_(0, nearest, ones)


def _restart_unused(
    model: QuantizingAutoencoder,
    last: Quantization,
    uses: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Put codewords that were nearest to nothing in the epoch onto inputs of its last batch.

    Returns:
        int64[], their number.
    """
    if not model.config.restart_unused or model.config.codebook == "simvq":
        return torch.zeros((), dtype=torch.int64)
    unused = uses == 0
    shared = len(uses) == 1
    for index in range(len(uses)):
        inputs = torch.cat(last.inputs) if shared else last.inputs[index]
        shuffled = torch.randperm(len(inputs), device=inputs.device, generator=generator)
        repeated = torch.arange(uses.shape[1], device=inputs.device) % len(inputs)
        model.codebook(index).restart(unused[index], inputs[shuffled[repeated]])
    return unused.sum()
