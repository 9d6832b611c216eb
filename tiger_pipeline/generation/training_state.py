"""What is kept of a training after every epoch, so that a killed one goes on where it was."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tiger_pipeline.generation.weight_average import WeightAverage
from tiger_pipeline.storage.atomic import atomic_directory

_FOLDER = "epoch_state"
_RECORD = "record.json"
_TENSORS = "tensors.safetensors"


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


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor.contiguous() for name, tensor in tensors.items()}


def _without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def save_epoch(
    work_directory: Path,
    fingerprint: str,
    record: TrainingRecord,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best_weights: dict[str, Tensor],
    average: WeightAverage | None = None,
) -> None:
    """Replace the state in `work_directory` by that after another epoch, whole or not at all.

    Raises:
        ArtifactError: it could not be written.
    """
    from safetensors.torch import save_file

    moments = {
        f"{index}/{name}": value
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }
    tensors = {
        **_with_prefix("model", model.state_dict()),
        **_with_prefix("optimizer", moments),
        **_with_prefix("best", best_weights),
        **_with_prefix("average", {} if average is None else average.state()),
    }
    with atomic_directory(work_directory / _FOLDER) as scratch:
        save_file(tensors, scratch / _TENSORS)
        text = json.dumps({"fingerprint": fingerprint, "record": asdict(record)}, indent=1)
        (scratch / _RECORD).write_text(text)


def restore_epoch(
    work_directory: Path,
    fingerprint: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage | None = None,
) -> tuple[TrainingRecord, dict[str, Tensor]] | str | None:
    """Put the state of the last complete epoch into `model`, `optimizer` and `average`.

    Args:
        work_directory: as given to `save_epoch`.
        fingerprint: of all that the training depends on; a state of another one is not used.
        model: of the same settings as the saved one.
        optimizer: over `model`'s parameters.
        average: of `model`'s weights, if the training has one.

    Returns:
        The record and the best weights so far; or why the state there cannot be used; or None
        where there is no state.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = work_directory / _FOLDER
    if not folder.exists():
        return None
    try:
        saved = json.loads((folder / _RECORD).read_text())
        if saved["fingerprint"] != fingerprint:
            return "it was made with other data, semantic IDs or settings"
        record = TrainingRecord(**saved["record"])
        tensors = load_file(folder / _TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        return f"it is not readable ({error})"
    model.load_state_dict(_without_prefix("model", tensors))
    _restore_moments(optimizer, _without_prefix("optimizer", tensors))
    if average is not None:
        average.restore(_without_prefix("average", tensors))
    return record, _without_prefix("best", tensors)


def _restore_moments(optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = tensor
    param_groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": param_groups})
