"""The record of a training by epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingHistory:
    """How a quantizer was trained.

    Attributes:
        rows: one an epoch, JSON-like: `epoch` (from 1), `loss`, `reconstruction_loss`,
            `codebook_loss` and `commitment_loss` (means over its batches), `restarted` codewords,
            `seconds`; and, None where the epoch was not evaluated, `perplexity` and `utilization`
            (a number a level), `colliding_items`, `reconstruction_mse` (of all items, by their
            nearest codewords).
        best_epoch: the epoch whose weights were kept.
    """

    rows: Sequence[dict[str, Any]]
    best_epoch: int
