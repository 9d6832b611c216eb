"""Residual k-means, plain or balanced: each level clusters what the levels before left over."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.progress import Progress, ProgressTask
from tiger_pipeline.quantization.balanced_kmeans import fit_balanced_kmeans, largest_size
from tiger_pipeline.quantization.codebook_fit import fit_codebook
from tiger_pipeline.quantization.codebook_tensors import name_codebooks, read_residual_codebooks
from tiger_pipeline.quantization.config import BalancedResidualKMeansConfig, ResidualKMeansConfig
from tiger_pipeline.quantization.greedy_codes import assign_by_block, residual_codes
from tiger_pipeline.quantization.kmeans_start import KMeansStart
from tiger_pipeline.quantization.nearest import priced_codewords
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct,
    check_vectors,
    check_vectors_to_fit,
    sample_vectors,
    scale_rows,
)


@dataclass(frozen=True)
class ResidualKMeans:
    """One codebook a level; a vector is the sum of one codeword of each.

    The code of a vector is the codeword with the least squared distance plus price. Plain k-means
    has no prices. Balanced k-means learns them with the codebooks, so the items that it was fitted
    on keep their balanced codes when they are assigned again, and new items follow the same rule.

    Attributes:
        config: how it was fitted.
        codebooks: a float32[codewords, d] for each level.
        prices: a float32[codewords] for each level; None for plain k-means.
        history: None, as nothing is trained by epochs.
    """

    config: ResidualKMeansConfig | BalancedResidualKMeansConfig
    codebooks: tuple[np.ndarray, ...]
    prices: tuple[np.ndarray, ...] | None = None
    history: ClassVar[None] = None

    @classmethod
    def fit(
        cls,
        config: ResidualKMeansConfig | BalancedResidualKMeansConfig,
        vectors: np.ndarray,
        progress: Progress,
    ) -> "ResidualKMeans":
        """Fit the codebooks level by level, on a sample if there are very many vectors.

        Equal vectors cannot be told apart, so a level where they are many is less even than
        `balance` asks; `progress` is told then.

        Args:
            config: levels, codewords, sample, start, iterations, balance, normalization, seed.
            vectors: float32[n, d].
            progress: told every iteration.

        Raises:
            InputError: the vectors are not a finite float32 matrix.
            ConfigurationError: a level has fewer distinct vectors than codewords, or the initial
                codebooks do not fit.
        """
        check_vectors_to_fit(vectors)
        dimensions = [vectors.shape[1]] * config.levels
        start = KMeansStart.read(config, config.codewords, dimensions)
        most = config.items_per_codeword * config.codewords
        residuals = scale_rows(sample_vectors(vectors, most, config.seed), config.normalize).copy()
        name = "Residual k-means"
        if isinstance(config, BalancedResidualKMeansConfig):
            name = "Balanced residual k-means"
        codebooks, prices = [], []
        with progress.task(name, config.levels * config.iterations, "iterations") as task:
            for level in range(config.levels):
                check_enough_distinct(residuals, config.codewords, level)
                generator = np.random.default_rng([config.seed, level])
                centroids = start.centroids(level, residuals, generator)
                if isinstance(config, BalancedResidualKMeansConfig):
                    codebook, price, codes = _fit_balanced(config, residuals, centroids, task)
                    _note_uneven(codes, config, level, progress)
                    prices.append(price)
                else:
                    codebook, codes = fit_codebook(
                        residuals, centroids, config.iterations, config.tolerance, generator, task
                    )
                codebooks.append(codebook)
                residuals -= codebook[codes]
        return cls(config, tuple(codebooks), tuple(prices) or None)

    @classmethod
    def from_tensors(
        cls,
        config: ResidualKMeansConfig | BalancedResidualKMeansConfig,
        tensors: dict[str, np.ndarray],
    ) -> "ResidualKMeans":
        """The inverse of `tensors`.

        Raises:
            ArtifactError: a codebook or its prices are missing or of another shape than `config`
                says.
        """
        codebooks = read_residual_codebooks(tensors, config.levels, config.codewords)
        if not isinstance(config, BalancedResidualKMeansConfig):
            return cls(config, codebooks)
        prices = tuple(
            tensors.get(f"prices_{level}", np.empty(0)) for level in range(config.levels)
        )
        for level, price in enumerate(prices):
            if price.shape != (config.codewords,):
                raise ArtifactError(
                    f"The prices of level {level} are missing or not {config.codewords} numbers. "
                    "Materialize the asset codebooks again."
                )
        return cls(config, codebooks, prices)

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
        return scale_rows(vectors, self.config.normalize)

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of `vectors` (float32[n, d]), each a function of its row alone."""
        check_vectors(vectors, self.dimension)
        return assign_by_block(
            vectors,
            self.config.levels,
            lambda block: residual_codes(self.prepare(block), self.codebooks, self.prices),
        )

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32[n, d] from the first l codes, int32[n, l], in the prepared space."""
        vectors = np.zeros((len(codes), self.dimension), dtype=np.float32)
        for level in range(codes.shape[1]):
            vectors += self.codebooks[level][codes[:, level]]
        return vectors

    def tensors(self) -> dict[str, np.ndarray]:
        """The codebooks, and the prices if there are any, by name."""
        prices = {f"prices_{level}": price for level, price in enumerate(self.prices or ())}
        return {**name_codebooks(self.codebooks), **prices}


def _fit_balanced(
    config: BalancedResidualKMeansConfig,
    vectors: np.ndarray,
    centroids: np.ndarray,
    task: ProgressTask,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codebook float32[k, d], prices float32[k] and the codes int64[n] of the vectors."""
    largest = largest_size(len(vectors), config.codewords, config.balance)
    codebook, prices = fit_balanced_kmeans(vectors, centroids, config.iterations, largest, task)
    return codebook, prices, priced_codewords(vectors, codebook, prices)


def _note_uneven(
    codes: np.ndarray, config: BalancedResidualKMeansConfig, level: int, progress: Progress
) -> None:
    largest = int(np.bincount(codes, minlength=config.codewords).max())
    allowed = largest_size(len(codes), config.codewords, config.balance)
    if largest > allowed:
        progress.note(
            f"Level {level} is not as even as `balance` {config.balance:g} asks: one codeword "
            f"keeps {largest} items, where {allowed} are allowed. That many have equal or almost "
            "equal vectors at this level; with fewer `codewords` there are fewer of them."
        )
