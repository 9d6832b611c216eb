"""Balanced residual k-means: the codewords of a level are used by nearly equal numbers of items."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.balanced_kmeans import (
    fit_balanced_kmeans,
    largest_size,
    priced_codewords,
)
from tiger_pipeline.quantization.codebook_tensors import name_codebooks, read_residual_codebooks
from tiger_pipeline.quantization.config import BalancedResidualKMeansConfig
from tiger_pipeline.quantization.kmeans_initialization import initial_centroids
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct,
    check_vectors,
    check_vectors_to_fit,
    normalize_rows,
    row_blocks,
)


@dataclass(frozen=True)
class BalancedResidualKMeans:
    """One codebook and one list of prices a level; a vector is the sum of one codeword of each.

    The code of a vector is the codeword with the least squared distance plus price. The prices are
    learned with the codebooks, so the items that it was fitted on keep their balanced codes when
    they are assigned again, and new items are assigned by the same rule.

    Attributes:
        config: how it was fitted.
        codebooks: a float32[codewords, d] for each level.
        prices: a float32[codewords] for each level.
        history: None, as nothing is trained by epochs.
    """

    config: BalancedResidualKMeansConfig
    codebooks: tuple[np.ndarray, ...]
    prices: tuple[np.ndarray, ...]
    history: ClassVar[None] = None

    @classmethod
    def fit(
        cls, config: BalancedResidualKMeansConfig, vectors: np.ndarray, progress: Progress
    ) -> "BalancedResidualKMeans":
        """Fit codebooks and prices level by level, on all vectors (float32[n, d]).

        Equal vectors cannot be told apart, so a level where they are many is less even than
        `config.balance` asks; `progress` is told then.

        Raises:
            InputError: the vectors are not a finite float32 matrix.
            ConfigurationError: a level has fewer distinct vectors than codewords.
        """
        check_vectors_to_fit(vectors)
        residuals = normalize_rows(vectors) if config.normalize == "l2" else vectors.copy()
        codebooks, prices = [], []
        total = config.levels * config.iterations
        with progress.task("Balanced residual k-means", total, "iterations") as task:
            for level in range(config.levels):
                check_enough_distinct(residuals, config.codewords, level)
                generator = np.random.default_rng([config.seed, level])
                start = initial_centroids(
                    config.initialization, residuals, config.codewords, generator
                )
                largest = largest_size(len(vectors), config.codewords, config.balance)
                codebook, price = fit_balanced_kmeans(
                    residuals, start, config.iterations, largest, task
                )
                codes = priced_codewords(residuals, codebook, price)
                _note_uneven(codes, config, level, progress)
                codebooks.append(codebook)
                prices.append(price)
                residuals -= codebook[codes]
        return cls(config, tuple(codebooks), tuple(prices))

    @classmethod
    def from_tensors(
        cls, config: BalancedResidualKMeansConfig, tensors: dict[str, np.ndarray]
    ) -> "BalancedResidualKMeans":
        """The inverse of `tensors`.

        Raises:
            ArtifactError: a codebook or its prices are missing or of another shape than `config`
                says.
        """
        codebooks = read_residual_codebooks(tensors, config.levels, config.codewords)
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
        return normalize_rows(vectors) if self.config.normalize == "l2" else vectors

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of `vectors` (float32[n, d]), each a function of its row alone."""
        check_vectors(vectors, self.dimension)
        codes = np.empty((len(vectors), self.config.levels), dtype=np.int32)
        for block in row_blocks(len(vectors)):
            residuals = self.prepare(vectors[block])
            for level, codebook in enumerate(self.codebooks):
                codes[block, level] = priced_codewords(residuals, codebook, self.prices[level])
                residuals = residuals - codebook[codes[block, level]]
        return codes

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32[n, d] from the first l codes, int32[n, l], in the prepared space."""
        vectors = np.zeros((len(codes), self.dimension), dtype=np.float32)
        for level in range(codes.shape[1]):
            vectors += self.codebooks[level][codes[:, level]]
        return vectors

    def tensors(self) -> dict[str, np.ndarray]:
        """The codebooks and prices, by name."""
        prices = {f"prices_{level}": price for level, price in enumerate(self.prices)}
        return {**name_codebooks(self.codebooks), **prices}


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
