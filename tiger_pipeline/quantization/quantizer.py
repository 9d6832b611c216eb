"""What every quantizer offers, and how one is fitted, saved and loaded."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pydantic

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.errors import ArtifactError, ConfigurationError
from tiger_pipeline.progress import NoProgress, Progress
from tiger_pipeline.quantization.collaborative_kmeans import CollaborativeKMeans
from tiger_pipeline.quantization.config import READ_INTERACTIONS, QuantizerConfig
from tiger_pipeline.quantization.product_kmeans import ProductKMeans
from tiger_pipeline.quantization.random_codes import RandomCodes
from tiger_pipeline.quantization.residual_kmeans import ResidualKMeans
from tiger_pipeline.quantization.training_history import TrainingHistory
from tiger_pipeline.storage.atomic import atomic_directory

FORMAT_VERSION = 1
_CONFIG_FILE = "config.json"
_TENSOR_FILE = "model.safetensors"
_HISTORY_FILE = "history.json"

_UNTRAINED: dict[str, Any] = {
    "random": RandomCodes,
    "residual_kmeans": ResidualKMeans,
    "balanced_residual_kmeans": ResidualKMeans,
    "collaborative_kmeans": CollaborativeKMeans,
    "product_kmeans": ProductKMeans,
}
_TRAINED = ("rq_vae", "product_vae")


def _class_of(kind: str) -> Any:
    """The class of quantizers of a kind; PyTorch is imported only for those that need it."""
    if kind not in _TRAINED:
        return _UNTRAINED[kind]
    from tiger_pipeline.quantization.vae_quantizer import VaeQuantizer

    return VaeQuantizer


class Quantizer(Protocol):
    """Turns vectors into codes, one codeword of each level, and codes back into vectors."""

    @property
    def config(self) -> QuantizerConfig:
        """How it was fitted."""

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codewords of each level."""

    @property
    def dimension(self) -> int:
        """Dimension d of the vectors."""

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """`vectors` (float32[n, d]) in the space of `reconstruct`, such as normalized."""

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of `vectors` (float32[n, d]).

        Each row's codes are a function of that row alone; memory is bounded by blocks.

        Raises:
            InputError: not a finite float32 matrix of the quantizer's dimension.
        """

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """float32[n, d], the prepared vectors as the first l codes (int32[n, l]) describe them."""

    def tensors(self) -> dict[str, np.ndarray]:
        """All that was fitted, by name."""

    @property
    def history(self) -> TrainingHistory | None:
        """How it was trained; None for quantizers that are not trained by epochs."""


def fit_quantizer(
    config: QuantizerConfig,
    vectors: np.ndarray,
    progress: Progress | None = None,
    work_directory: Path | None = None,
    training: Histories | None = None,
) -> Quantizer:
    """Fit the quantizer that `config` describes.

    One that is trained by epochs saves its state in `work_directory` now and then: when a run is
    killed, the next one with the same arguments goes on from there and gives the same codebooks.
    Remove the folder once the quantizer is saved.

    Args:
        config: its kind and settings.
        vectors: float32[n, d], the embeddings of the catalog.
        progress: told of every iteration; None for nobody.
        work_directory: for the state of a training; None to keep none.
        training: the training interactions of the same items, for a kind in `READ_INTERACTIONS`.

    Raises:
        InputError: the vectors are not a finite float32 matrix (the row at fault is named).
        ConfigurationError: fewer distinct vectors than codewords, a training that diverges, no
            usable FAISS, or no training interactions where they are needed.
        ArtifactError: the state of a training could not be written.
    """
    fit: Any = _class_of(config.kind).fit
    if config.kind in READ_INTERACTIONS:
        if training is None:
            raise ConfigurationError(
                f"A quantizer of kind {config.kind} is fitted on training interactions, too, and "
                "was given none. Choose another `quantizer.kind` where there are none."
            )
        return fit(config, vectors, progress or NoProgress(), training)
    if config.kind in _TRAINED:
        return fit(config, vectors, progress or NoProgress(), work_directory)
    return fit(config, vectors, progress or NoProgress())


def save_quantizer(directory: Path, quantizer: Quantizer, metadata: dict[str, Any]) -> None:
    """Write a quantizer as safetensors and JSON, whole or not at all.

    Args:
        directory: replaced if it exists.
        quantizer: what to write.
        metadata: JSON-like facts to keep beside it, such as the fingerprint of its input.

    Raises:
        ArtifactError: it could not be written.
    """
    from safetensors.numpy import save_file

    description = {
        "format_version": FORMAT_VERSION,
        "kind": quantizer.config.kind,
        "configuration": quantizer.config.model_dump(mode="json"),
        "dimension": quantizer.dimension,
        "codebook_sizes": list(quantizer.codebook_sizes),
        "metadata": metadata,
    }
    with atomic_directory(directory) as scratch:
        save_file(quantizer.tensors(), scratch / _TENSOR_FILE)
        (scratch / _CONFIG_FILE).write_text(json.dumps(description, indent=2) + "\n")
        if quantizer.history is not None:
            (scratch / _HISTORY_FILE).write_text(json.dumps(asdict(quantizer.history)) + "\n")


def read_quantizer_metadata(directory: Path) -> dict[str, Any]:
    """The `metadata` that a quantizer was saved with.

    Raises:
        ArtifactError: as `load_quantizer`.
    """
    return _read_description(directory)["metadata"]


def read_training_history(directory: Path) -> TrainingHistory | None:
    """How the quantizer in `directory` was trained; None if its kind is not trained by epochs.

    Raises:
        ArtifactError: as `load_quantizer`.
    """
    if _read_description(directory)["kind"] not in _TRAINED:
        return None
    path = directory / _HISTORY_FILE
    try:
        return TrainingHistory(**json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise _damaged(path, "it is missing") from error
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error


def load_quantizer(directory: Path) -> Quantizer:
    """Read a quantizer that `save_quantizer` wrote.

    Raises:
        ArtifactError: it is missing, damaged, of an unknown kind or of another format version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    description = _read_description(directory)
    known = (*_UNTRAINED, *_TRAINED)
    kind = description["kind"]
    if kind not in known:
        raise ArtifactError(
            f"{directory / _CONFIG_FILE} describes a quantizer of the unknown kind "
            f"{kind!r} (known: {', '.join(known)}). Was it written by a newer "
            "version? Upgrade tiger-pipeline, or materialize the asset codebooks again."
        )
    try:
        config = pydantic.TypeAdapter(QuantizerConfig).validate_python(description["configuration"])
        tensors = load_file(directory / _TENSOR_FILE)
    except FileNotFoundError as error:
        raise _damaged(directory / _TENSOR_FILE, "it is missing") from error
    except (SafetensorError, OSError, pydantic.ValidationError) as error:
        raise _damaged(directory, str(error)) from error
    quantizer = _class_of(kind).from_tensors(config, tensors)
    history = read_training_history(directory)
    return quantizer if history is None else replace(quantizer, history=history)


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / _CONFIG_FILE
    if not path.is_file():
        raise ArtifactError(
            f"{path} does not exist. Materialize the asset codebooks, then run this again."
        )
    try:
        description = json.loads(path.read_text())
        version = description["format_version"]
        missing = {"kind", "configuration", "metadata"} - set(description)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _damaged(path, str(error)) from error
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has format version {version}, but this program reads {FORMAT_VERSION}. "
            "Materialize the asset codebooks again."
        )
    if missing:
        raise _damaged(path, f"it lacks {min(missing)!r}")
    return description


def _damaged(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(
        f"The quantizer in {path} cannot be read: {reason}. Materialize the asset codebooks again."
    )
