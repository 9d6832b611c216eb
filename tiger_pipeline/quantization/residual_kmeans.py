"""Residual k-means: each level clusters what the levels before left over."""

from dataclasses import dataclass

import numpy as np

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.progress import Progress, ProgressTask
from tiger_pipeline.quantization.config import ResidualKMeansConfig
from tiger_pipeline.quantization.kmeans import fit_kmeans
from tiger_pipeline.quantization.kmeans_initialization import initial_centroids
from tiger_pipeline.quantization.nearest import nearest_codewords, squared_distances
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
    """

    config: ResidualKMeansConfig
    codebooks: tuple[np.ndarray, ...]

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
                codebook, codes = _fit_level(config, residuals, generator, task)
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
        codebooks: list[np.ndarray] = []
        for level in range(config.levels):
            codebook = tensors.get(f"codebook_{level}")
            dimension = codebooks[0].shape[1] if codebooks else None
            if (
                codebook is None
                or codebook.ndim != 2
                or len(codebook) != config.codewords
                or dimension not in (None, codebook.shape[1])
            ):
                raise ArtifactError(
                    f"The codebook of level {level} is missing or does not have "
                    f"{config.codewords} codewords of the same dimension as the others. "
                    "Materialize the asset codebooks again."
                )
            codebooks.append(codebook)
        return cls(config, tuple(codebooks))

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
        return {f"codebook_{level}": codebook for level, codebook in enumerate(self.codebooks)}


def _fit_level(
    config: ResidualKMeansConfig,
    residuals: np.ndarray,
    generator: np.random.Generator,
    task: ProgressTask,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one codebook, each of whose codewords is the nearest of at least one residual.

    Returns:
        The codebook float32[codewords, d], and the codes int64[n] of the residuals.
    """
    start = initial_centroids(config.initialization, residuals, config.codewords, generator)
    codebook = fit_kmeans(residuals, start, config.iterations, config.tolerance, generator, task)
    # The last update can leave a codeword without a vector. Moving it onto a vector that is not
    # described exactly lowers the inertia, so this ends.
    while True:
        codes = nearest_codewords(residuals, codebook)
        unused = np.flatnonzero(np.bincount(codes, minlength=len(codebook)) == 0)
        if not len(unused):
            return codebook, codes
        errors = np.concatenate(
            [
                squared_distances(residuals[block], codebook[codes[block]])
                for block in row_blocks(len(residuals))
            ]
        )
        rows = generator.choice(
            len(errors),
            size=min(len(unused), int(np.count_nonzero(errors))),
            replace=False,
            p=errors / errors.sum(),
        )
        codebook[unused[: len(rows)]] = residuals[rows]
