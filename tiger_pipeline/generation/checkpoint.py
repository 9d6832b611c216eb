"""A trained generator as a directory: settings, weights, and the history of its training."""

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.generation.config import GeneratorConfig, TrainingConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.fusion_network import N_FEATURES, FusionNetwork
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.training import TrainingResult
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.storage.fingerprint import fingerprint_files

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_TEXT = "text_embeddings.safetensors"
_TEXT_KEY = "text_embeddings"
_HISTORY = "history.json"
_FUSION = "fusion.safetensors"
_AGAIN = "Materialize the asset generator again."


def save_generator(
    directory: Path,
    result: TrainingResult,
    training: TrainingConfig,
    fusion: FusionNetwork | None = None,
) -> None:
    """Write a trained generator; the directory appears whole or not at all.

    Args:
        directory: replaced as a whole.
        result: of the training.
        training: its settings.
        fusion: of its scores, for a generator with a dense head.

    Raises:
        ArtifactError: it could not be written.
    """
    from safetensors import numpy
    from safetensors.torch import save_file

    model = result.model
    description = {
        "kind": model.config.kind,
        "config": model.config.model_dump(),
        "training": training.model_dump(),
        "semantic_ids_fingerprint": model.semantic_ids_fingerprint,
        "training_fingerprint": result.fingerprint,
        "codebook_sizes": list(model.codebook_sizes),
        "n_items": model.n_items,
        "parameters": result.parameters,
        "best_epoch": result.best_epoch,
        "seconds": result.seconds,
    }
    with atomic_directory(directory) as scratch:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, scratch / _WEIGHTS)
        if model.text_embeddings is not None:
            text = np.ascontiguousarray(model.text_embeddings)
            numpy.save_file({_TEXT_KEY: text}, scratch / _TEXT)
        (scratch / _HISTORY).write_text(json.dumps(result.history, indent=1))
        _write_description(scratch, description, fusion)


def replace_fusion(directory: Path, fusion: FusionNetwork) -> None:
    """Give the generator in `directory` another fusion of its scores; all else stays.

    Raises:
        ArtifactError: the directory is unreadable or could not be written.
    """
    description = read_description(directory)
    with atomic_directory(directory) as scratch:
        shutil.copytree(directory, scratch, dirs_exist_ok=True)
        _write_description(scratch, description, fusion)


def _write_description(
    directory: Path, description: dict[str, Any], fusion: FusionNetwork | None
) -> None:
    """Write the description of the weights in `directory`, with the fusion and a fingerprint."""
    from safetensors import numpy

    written, described = [directory / _WEIGHTS], None
    if fusion is not None:
        numpy.save_file(
            {name: np.array(array, order="C") for name, array in fusion.tensors().items()},
            directory / _FUSION,
        )
        written.append(directory / _FUSION)
        described = {"hidden_units": len(fusion.last), "seen": float(fusion.seen)}
    complete = {
        **description,
        "fusion": described,
        "weights_fingerprint": fingerprint_files(written),
    }
    (directory / _CONFIG).write_text(json.dumps(complete, indent=1))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist. Materialize the asset generator.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is not readable ({error}). {_AGAIN}") from error


def read_description(directory: Path) -> dict[str, Any]:
    """What was saved about a generator besides its weights, without loading them.

    Returns:
        kind, config, training, semantic_ids_fingerprint, training_fingerprint (see
        `training.training_fingerprint`), codebook_sizes, n_items, parameters, best_epoch,
        seconds, fusion (None without a dense head), weights_fingerprint.

    Raises:
        ArtifactError: the file is missing or unreadable.
    """
    return _read_json(directory / _CONFIG)


def load_generator(
    directory: Path, semantic_ids: SemanticIds, cold_text: np.ndarray | None = None
) -> Generator:
    """Read a trained generator, on the processor and in evaluation mode.

    Args:
        directory: written by `save_generator`.
        semantic_ids: the table that it was trained on, or one that grew from it.
        cold_text: float32[n_cold, d], embeddings of the items that the table grew by, for a
            generator that reads text.

    Raises:
        ArtifactError: a file is missing or unreadable.
        ArtifactMismatchError: it was trained on another table of semantic IDs.
        InputError: it reads text, and there is not one embedding a cold item.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_description(directory)
    try:
        config = TypeAdapter(GeneratorConfig).validate_python(description["config"])
        trained_on = description["semantic_ids_fingerprint"]
        n_items = description["n_items"]
    except (KeyError, TypeError, ValidationError) as error:
        raise ArtifactError(
            f"{directory / _CONFIG} does not describe a generator of this version ({error}). "
            f"{_AGAIN}"
        ) from error
    warm = semantic_ids.warm
    if trained_on != warm.fingerprint:
        raise ArtifactMismatchError(
            f"The generator in {directory} is a checkpoint of another catalog: it was trained on "
            f"the {n_items} semantic IDs with fingerprint {trained_on}, and is used with "
            f"{len(warm.item_ids)} of fingerprint {warm.fingerprint}. "
            f"{_AGAIN}"
        )
    text = _read_text(directory) if config.reads_text else None
    model = build_generator(config, warm, seed=0, text_embeddings=text)
    try:
        model.load_state_dict(load_file(directory / _WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(
            f"{directory / _WEIGHTS} is missing or damaged ({error}). {_AGAIN}"
        ) from error
    if semantic_ids.n_cold:
        model.on_catalog(semantic_ids, cold_text)
    return model.eval()


def _read_text(directory: Path) -> np.ndarray:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(directory / _TEXT)[_TEXT_KEY]
    except (OSError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"{directory / _TEXT} is missing or damaged ({error}). {_AGAIN}"
        ) from error


def read_fusion(directory: Path) -> FusionNetwork:
    """The fusion that was fitted for the scores of the generator in `directory`.

    Raises:
        ArtifactError: the file is missing or damaged, or made for other features.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(directory / _FUSION)
        network = FusionNetwork(
            **{field.name: tensors[field.name] for field in fields(FusionNetwork)}
        )
    except (OSError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"{directory / _FUSION} is missing or damaged ({error}). {_AGAIN}"
        ) from error
    if network.linear.shape != (N_FEATURES,):
        raise ArtifactError(
            f"{directory / _FUSION} was fitted by another version, for {network.linear.size} "
            f"features instead of {N_FEATURES}. {_AGAIN}"
        )
    return network


def load_training_history(directory: Path) -> list[dict[str, Any]]:
    """The rows of `TrainingResult.history` that were saved with a generator.

    Raises:
        ArtifactError: the file is missing or unreadable.
    """
    return _read_json(directory / _HISTORY)
