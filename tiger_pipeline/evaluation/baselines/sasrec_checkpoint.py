"""A trained SASRec as files: weights, what they came from, and the history of the training."""

import json
from pathlib import Path
from typing import Any

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation.baselines.sasrec import Sasrec, build_sasrec
from tiger_pipeline.evaluation.config import SasrecConfig
from tiger_pipeline.generation.training_state import TrainingRecord
from tiger_pipeline.storage.fingerprint import (
    fingerprint_array,
    fingerprint_files,
    fingerprint_json,
)

_DESCRIPTION = "sasrec.json"
_WEIGHTS = "model.safetensors"
_AGAIN = "Materialize `sasrec_baseline` again with the config `retrain: true`."


def sasrec_fingerprint(config: SasrecConfig, training: Histories, n_items: int) -> str:
    """Fingerprint of all that decides the weights."""
    return fingerprint_json(
        [
            config.model_dump(exclude_none=True),
            n_items,
            fingerprint_array(training.offsets),
            fingerprint_array(training.items),
        ]
    )


def save_sasrec(
    directory: Path, model: Sasrec, record: TrainingRecord, training_fingerprint: str
) -> None:
    """Write a trained network into an existing directory.

    Args:
        directory: made whole by the caller (`storage.atomic_directory`).
        model: with the weights of the best epoch.
        record: of its training.
        training_fingerprint: `sasrec_fingerprint` of what it was trained on.
    """
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, directory / _WEIGHTS)
    description = {
        "config": model.config.model_dump(),
        "n_items": model.n_items,
        "training_fingerprint": training_fingerprint,
        "weights_fingerprint": fingerprint_files([directory / _WEIGHTS]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "best_epoch": record.best_epoch,
        "seconds": record.seconds,
        "seed": model.config.training.seed,
        "history": record.history,
    }
    (directory / _DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")


def read_sasrec_description(directory: Path) -> dict[str, Any]:
    """What was saved besides the weights.

    Returns:
        config, n_items, training_fingerprint, weights_fingerprint, parameters, best_epoch,
        seconds, seed, and history as in `generation.training.TrainingResult`.

    Raises:
        ArtifactError: the file is missing or unreadable.
    """
    path = directory / _DESCRIPTION
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist. Materialize `sasrec_baseline`.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is not readable ({error}). {_AGAIN}") from error


def load_sasrec(directory: Path, config: SasrecConfig, n_items: int) -> Sasrec:
    """Read the network that `save_sasrec` wrote, on the processor and in evaluation mode.

    Args:
        directory: where it is.
        config: that it was trained with.
        n_items: of the catalog that it was trained on.

    Raises:
        ArtifactError: the weights are missing, damaged, or of other settings.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model = build_sasrec(config, n_items)
    try:
        model.load_state_dict(load_file(directory / _WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(
            f"{directory / _WEIGHTS} is missing or damaged ({error}). {_AGAIN}"
        ) from error
    return model.eval()
