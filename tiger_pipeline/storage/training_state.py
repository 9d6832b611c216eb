"""What is kept of a training on disk, so that a killed one goes on where it was, bit for bit.

Nothing is saved of random generators: all that is random in an epoch follows from `epoch_seed`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.atomic import atomic_directory

Record = TypeVar("Record")

_FOLDER = "epoch_state"
_RECORD = "record.json"
_TENSORS = "tensors.safetensors"


class Companion(Protocol):
    """Something that changes beside the weights, such as their average."""

    def state(self) -> dict[str, Tensor]:
        """All that a resumed training needs of it."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """A seed for all that is random in one epoch of one process of a training.

    Epochs, runs and processes do not share streams; rank 0 has that of a process alone.
    """
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])


def save_epoch(
    work_directory: Path,
    fingerprint: str,
    record: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best_weights: dict[str, Tensor],
    companion: Companion | None = None,
) -> None:
    """Replace the state in `work_directory` by that after another epoch, whole or not at all.

    Args:
        work_directory: folder of one training's state.
        fingerprint: of all that the training depends on.
        record: JSON-like; how far the training is and how well it went.
        model: as it is now.
        optimizer: over its parameters.
        best_weights: of the best epoch so far; may be empty.
        companion: what changes beside the weights.

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
        **_with_prefix("companion", {} if companion is None else companion.state()),
    }
    with atomic_directory(work_directory / _FOLDER) as scratch:
        save_file(tensors, scratch / _TENSORS)
        text = json.dumps({"fingerprint": fingerprint, "record": record}, indent=1)
        (scratch / _RECORD).write_text(text)


def restore_epoch(
    work_directory: Path,
    fingerprint: str,
    build_record: Callable[..., Record],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    companion: Companion | None = None,
) -> tuple[Record, dict[str, Tensor]] | None:
    """Put the state of the last saved epoch into `model` and `optimizer`.

    Args:
        work_directory: as given to `save_epoch`.
        fingerprint: of all that the training depends on; a state of another one is not used.
        build_record: takes what was saved as the record, as keyword arguments.
        model: of the same settings as the saved one.
        optimizer: over `model`'s parameters.
        progress: told why a state that is there is not used.
        companion: what changes beside the weights; its state is put back, too.

    Returns:
        The record and the best weights so far; None where there is no state that can be used.
    """
    found = _read_epoch(work_directory / _FOLDER, fingerprint, build_record)
    if found is None:
        return None
    if isinstance(found, str):
        progress.note(
            f"The training state in {work_directory} is not resumed: {found}. "
            "Training starts from the beginning."
        )
        return None
    record, tensors = found
    model.load_state_dict(_without_prefix("model", tensors))
    _restore_moments(optimizer, _without_prefix("optimizer", tensors))
    if companion is not None:
        companion.restore(_without_prefix("companion", tensors))
    return record, _without_prefix("best", tensors)


def _read_epoch(
    folder: Path, fingerprint: str, build_record: Callable[..., Record]
) -> tuple[Record, dict[str, Tensor]] | str | None:
    """The record and all tensors in `folder`, or why they cannot be used, or None without any."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not folder.exists():
        return None
    try:
        saved = json.loads((folder / _RECORD).read_text())
        if saved["fingerprint"] != fingerprint:
            return "it was made with other data or settings"
        record = build_record(**saved["record"])
        tensors = load_file(folder / _TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        return f"it is not readable ({error})"
    return record, tensors


def _with_prefix(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor.contiguous() for name, tensor in tensors.items()}


def _without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def _restore_moments(optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = tensor
    param_groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": param_groups})
