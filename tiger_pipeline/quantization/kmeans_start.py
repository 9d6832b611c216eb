"""Where k-means of each level starts: centroids chosen from the data, or given in a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization.config import KMeansStartConfig
from tiger_pipeline.quantization.kmeans_initialization import initial_centroids


@dataclass(frozen=True)
class KMeansStart:
    """How the levels of a quantizer start.

    Attributes:
        config: the settings.
        codewords: centroids a level.
        given: float32[codewords, d_level] for each level, in the space that is clustered; None
            where centroids are chosen from the data.
    """

    config: KMeansStartConfig
    codewords: int
    given: tuple[np.ndarray, ...] | None

    @classmethod
    def read(
        cls, config: KMeansStartConfig, codewords: int, dimensions: Sequence[int]
    ) -> "KMeansStart":
        """Read the given codebooks if `config` names a file.

        Args:
            config: the settings.
            codewords: centroids a level.
            dimensions: d_level of each level.

        Raises:
            ConfigurationError: the file is missing or unreadable, lacks the codebook of a level, or
                has one that is not a finite matrix of the right shape.
        """
        if config.initial_codebooks is None:
            return cls(config, codewords, None)
        path = Path(config.initial_codebooks)
        tensors = _read_tensors(path)
        given = tuple(
            _checked_codebook(path, tensors, f"codebook_{level}", (codewords, dimension))
            for level, dimension in enumerate(dimensions)
        )
        return cls(config, codewords, given)

    def centroids(
        self, level: int, vectors: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Initial centroids float32[codewords, d_level] of a level whose input is `vectors`.

        Args:
            level: from 0.
            vectors: float32[n, d_level] with at least `codewords` distinct rows.
            generator: of all draws.
        """
        if self.given is not None:
            return self.given[level]
        return initial_centroids(self.config.initialization, vectors, self.codewords, generator)


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"The initial codebooks {path} do not exist. Correct `initial_codebooks`, or choose "
            "another `initialization`."
        ) from error
    except (SafetensorError, OSError) as error:
        raise ConfigurationError(
            f"The initial codebooks {path} are not a readable safetensors file: {error}. Write "
            "them with safetensors.numpy.save_file."
        ) from error


def _checked_codebook(
    path: Path, tensors: dict[str, np.ndarray], name: str, shape: tuple[int, int]
) -> np.ndarray:
    codebook = tensors.get(name)
    if codebook is None:
        raise ConfigurationError(
            f"{path} has no tensor {name} (it has {', '.join(sorted(tensors)) or 'none'}). Every "
            "level needs one, named codebook_0, codebook_1, …"
        )
    if codebook.shape != shape or not np.issubdtype(codebook.dtype, np.floating):
        raise ConfigurationError(
            f"{name} in {path} is {codebook.dtype}{list(codebook.shape)}, but the settings and the "
            f"embeddings need {shape[0]} codewords of {shape[1]} floating-point numbers each."
        )
    if not np.isfinite(codebook).all():
        raise ConfigurationError(f"{name} in {path} contains NaN or infinity.")
    return codebook.astype(np.float32)
