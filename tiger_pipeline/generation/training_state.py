"""How far the training of a generator is."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class TrainingRecord:
    """How far a training is and how well it went.

    Attributes:
        epochs_done: complete epochs.
        best_epoch: epoch, from 1, of the best validation; 0 before the first one.
        best_value: NDCG@10 of that validation.
        validations_without_gain: validations since then.
        history: one row an epoch; see `training.TrainingResult`.
    """

    epochs_done: int = 0
    best_epoch: int = 0
    best_value: float = -1.0
    validations_without_gain: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of all epochs and validations, those before an interruption included."""
        return sum(row["seconds"] for row in self.history)
