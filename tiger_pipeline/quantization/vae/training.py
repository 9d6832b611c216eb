"""The training loop of the quantizing autoencoders."""

import math
import time
from typing import Any

import torch
from torch import Tensor

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.training_history import TrainingHistory
from tiger_pipeline.quantization.vae.evaluation import badness, evaluate_codes
from tiger_pipeline.quantization.vae.model import Quantization, QuantizingAutoencoder


class _BestEpoch:
    """The weights of the best epoch so far."""

    def __init__(self, choose_by: str) -> None:
        self.epoch = 0
        self._choose_by = choose_by
        self._badness = math.inf
        self._weights: dict[str, Tensor] = {}

    def offer(self, row: dict[str, Any], model: QuantizingAutoencoder) -> None:
        """Keep the weights if `row`, of an evaluated epoch, is better than all before."""
        value = badness(row, self._choose_by)
        if value < self._badness:
            self.epoch, self._badness = row["epoch"], value
            self._weights = {name: weight.clone() for name, weight in model.state_dict().items()}

    def restore(self, model: QuantizingAutoencoder) -> None:
        model.load_state_dict(self._weights)


def train_autoencoder(
    model: QuantizingAutoencoder, vectors: Tensor, progress: Progress
) -> TrainingHistory:
    """Train `model` in place and leave it with the weights of its best epoch.

    Batches are cut on the device from a shuffle of all items; the host waits for the device once
    an epoch, for the losses.

    Args:
        model: with initial codebooks, on the device of `vectors`.
        vectors: float32[n, d], the prepared vectors of all items.
        progress: told of every epoch.

    Raises:
        ConfigurationError: the loss is not finite.
    """
    config = model.config
    generator = torch.Generator(vectors.device).manual_seed(config.seed)
    optimizer = _build_optimizer(model)
    best = _BestEpoch(config.choose_by)
    rows = []
    with progress.task("Training the autoencoder", config.epochs, "epochs") as task:
        for epoch in range(1, config.epochs + 1):
            started = time.monotonic()
            row = _train_epoch(model, optimizer, vectors, epoch, generator)
            evaluated = epoch % config.evaluate_every == 0 or epoch == config.epochs
            figures = evaluate_codes(model, vectors) if evaluated else _NOT_EVALUATED
            row = {**row, **figures, "seconds": time.monotonic() - started}
            rows.append(row)
            if evaluated:
                best.offer(row, model)
            task.advance(loss=row["loss"])
    best.restore(model)
    return TrainingHistory(rows, best.epoch)


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
    generator: torch.Generator,
) -> dict[str, Any]:
    """One pass over all items; returns its row of the history, less the evaluation."""
    config = model.config
    order = torch.randperm(len(vectors), device=vectors.device, generator=generator)
    batches = order.tensor_split(math.ceil(len(vectors) / config.batch_size))
    totals = vectors.new_zeros(4)
    uses = vectors.new_zeros((len(model.codebooks), config.codewords))
    for rows in batches:
        loss, reconstruction, quantization = model.loss(vectors[rows], generator)
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
