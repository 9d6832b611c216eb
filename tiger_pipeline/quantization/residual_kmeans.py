"""Residual k-means: each level clusters what the levels before left over."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.codebook_fit import fit_codebook
from tiger_pipeline.quantization.codebook_tensors import name_codebooks, read_residual_codebooks
from tiger_pipeline.quantization.config import ResidualKMeansConfig
from tiger_pipeline.quantization.nearest import nearest_codewords
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct,
    check_vectors,
    check_vectors_to_fit,
    normalize_rows,
    row_blocks,
)


@dataclass(frozen=True)
class ResidualKMeans:
    """One codebook a level; a vector is the sum of one codeword of each.

    Attributes:
        config: how it was fitted.
        codebooks: a float32[codewords, d] for each level.
        history: None, as nothing is trained by epochs.
    """

    config: ResidualKMeansConfig
    codebooks: tuple[np.ndarray, ...]
    history: ClassVar[None] = None

    @classmethod
    def fit(
        cls, config: ResidualKMeansConfig, vectors: np.ndarray, progress: Progress
    ) -> "ResidualKMeans":
        """Fit the codebooks level by level, on all vectors.

        Args:
            config: levels, codewords, initialization, iterations, normalization, seed.
            vectors: float32[n, d].
            progress: told every iteration.

        Raises:
            InputError: the vectors are not a finite float32 matrix.
            ConfigurationError: a level has fewer distinct vectors than codewords.
        """
        check_vectors_to_fit(vectors)
        residuals = normalize_rows(vectors) if config.normalize == "l2" else vectors.copy()
        codebooks = []
        with progress.task("Residual k-means", config.levels * config.iterations, "iterations") as (
            task
        ):
            for level in range(config.levels):
                check_enough_distinct(residuals, config.codewords, level)
                generator = np.random.default_rng([config.seed, level])
                codebook, codes = fit_codebook(
                    config.initialization,
                    residuals,
                    config.codewords,
                    config.iterations,
                    config.tolerance,
                    generator,
                    task,
                )
                codebooks.append(codebook)
                residuals -= codebook[codes]
        return cls(config, tuple(codebooks))

    @classmethod
    def from_tensors(
        cls, config: ResidualKMeansConfig, tensors: dict[str, np.ndarray]
    ) -> "ResidualKMeans":
        """The inverse of `tensors`.

        Raises:
            ArtifactError: a codebook is missing or has another shape than `config` says.
        """
        return cls(config, read_residual_codebooks(tensors, config.levels, config.codewords))

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codewords of each level."""
        return tuple(map(len, self.codebooks))

    @property
    def dimension(self) -> int:
        """Dimension d of the vectors."""
        return self.codebooks[0].shape[1]

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """`vectors` (float32[n, d]) as the codebooks describe them: normalized if so configured."""
        return normalize_rows(vectors) if self.config.normalize == "l2" else vectors

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of `vectors` (float32[n, d]), each a function of its row alone."""
        check_vectors(vectors, self.dimension)
        codes = np.empty((len(vectors), self.config.levels), dtype=np.int32)
        for block in row_blocks(len(vectors)):
            residuals = self.prepare(vectors[block])
            for level, codebook in enumerate(self.codebooks):
                codes[block, level] = nearest_codewords(residuals, codebook)
                residuals = residuals - codebook[codes[block, level]]
        return codes

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32[n, d] from the first l codes, int32[n, l], in the prepared space."""
        vectors = np.zeros((len(codes), self.dimension), dtype=np.float32)
        for level in range(codes.shape[1]):
            vectors += self.codebooks[level][codes[:, level]]
        return vectors

    def tensors(self) -> dict[str, np.ndarray]:
        """The codebooks, by name."""
        return name_codebooks(self.codebooks)
