"""Product k-means: the vector is split into parts, and each part is clustered on its own."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiger_pipeline.errors import ArtifactError, ConfigurationError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.codebook_fit import fit_codebook
from tiger_pipeline.quantization.codebook_tensors import name_codebooks, read_codebooks
from tiger_pipeline.quantization.config import ProductKMeansConfig
from tiger_pipeline.quantization.greedy_codes import assign_by_block, product_codes
from tiger_pipeline.quantization.kmeans_start import KMeansStart
from tiger_pipeline.quantization.opq_rotation import fit_opq_rotation
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct_in_part,
    check_vectors,
    check_vectors_to_fit,
    sample_vectors,
    scale_rows,
)


@dataclass(frozen=True)
class ProductKMeans:
    """One codebook a part; a vector is its codewords side by side (Jégou et al., TPAMI 2011).

    Attributes:
        config: how it was fitted.
        codebooks: a float32[codewords, d_part] for each part; the d_part differ by at most 1.
        mean: float32[d] of the prepared (and rotated) vectors it was fitted on: what is known of
            a part whose code is not.
        rotation: float32[d, d], applied before the split; None for none.
        history: None, as nothing is trained by epochs.
    """

    config: ProductKMeansConfig
    codebooks: tuple[np.ndarray, ...]
    mean: np.ndarray
    rotation: np.ndarray | None
    history: ClassVar[None] = None

    @classmethod
    def fit(
        cls, config: ProductKMeansConfig, vectors: np.ndarray, progress: Progress
    ) -> "ProductKMeans":
        """Fit one codebook a part to vectors (float32[n, d]), or a sample of very many.

        Raises:
            InputError: the vectors are not a finite float32 matrix.
            ConfigurationError: a part has fewer distinct vectors than codewords, there are more
                levels than dimensions, the initial codebooks do not fit, or the rotation cannot be
                fitted.
        """
        check_vectors_to_fit(vectors)
        if config.levels > vectors.shape[1]:
            raise ConfigurationError(
                f"Embeddings of {vectors.shape[1]} dimensions cannot be split into "
                f"{config.levels} parts. Lower `levels` to {vectors.shape[1]} or less."
            )
        most = config.items_per_codeword * config.codewords
        prepared = scale_rows(sample_vectors(vectors, most, config.seed), config.normalize)
        rotation = None
        if config.rotation == "opq":
            progress.note("Fitting the OPQ rotation.")
            rotation = fit_opq_rotation(prepared, config.levels)
            prepared = prepared @ rotation
        parts = np.array_split(prepared, config.levels, axis=1)
        start = KMeansStart.read(config, config.codewords, [part.shape[1] for part in parts])
        codebooks = []
        total = config.levels * config.iterations
        with progress.task("Product k-means", total, "iterations") as task:
            for level, part in enumerate(map(np.ascontiguousarray, parts)):
                check_enough_distinct_in_part(part, config.codewords, level)
                generator = np.random.default_rng([config.seed, level])
                centroids = start.centroids(level, part, generator)
                codebook, _ = fit_codebook(
                    part, centroids, config.iterations, config.tolerance, generator, task
                )
                codebooks.append(codebook)
        mean = prepared.mean(axis=0, dtype=np.float64).astype(np.float32)
        return cls(config, tuple(codebooks), mean, rotation)

    @classmethod
    def from_tensors(
        cls, config: ProductKMeansConfig, tensors: dict[str, np.ndarray]
    ) -> "ProductKMeans":
        """The inverse of `tensors`.

        Raises:
            ArtifactError: a tensor is missing or has another shape than `config` says.
        """
        codebooks = read_codebooks(tensors, config.levels, config.codewords)
        dimension = sum(codebook.shape[1] for codebook in codebooks)
        mean = tensors.get("mean", np.empty(0))
        rotation = tensors.get("rotation") if config.rotation == "opq" else None
        rotates = config.rotation == "none" or (
            rotation is not None and rotation.shape == (dimension, dimension)
        )
        if mean.shape != (dimension,) or not rotates:
            raise ArtifactError(
                "The mean or the rotation of the product quantizer is missing or does not fit its "
                "codebooks. Materialize the asset codebooks again."
            )
        return cls(config, codebooks, mean, rotation)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codewords of each part."""
        return tuple(map(len, self.codebooks))

    @property
    def dimension(self) -> int:
        """Dimension d of the vectors."""
        return len(self.mean)

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """`vectors` (float32[n, d]), normalized if so configured; not rotated."""
        return scale_rows(vectors, self.config.normalize)

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of `vectors` (float32[n, d]), each a function of its row alone."""
        check_vectors(vectors, self.dimension)
        return assign_by_block(
            vectors,
            self.config.levels,
            lambda block: product_codes(self._rotate(self.prepare(block)), self.codebooks),
        )

    def _rotate(self, vectors: np.ndarray) -> np.ndarray:
        if self.rotation is None:
            return vectors
        # In float64 and rounded, so that the batch's rounding does not reach the codes.
        return (vectors.astype(np.float64) @ self.rotation).astype(np.float32)

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32[n, d] from the first l codes, int32[n, l]; the mean for other parts."""
        known = [self.codebooks[level][codes[:, level]] for level in range(codes.shape[1])]
        described = sum(part.shape[1] for part in known)
        rest = np.broadcast_to(self.mean[described:], (len(codes), self.dimension - described))
        vectors = np.concatenate([*known, rest], axis=1)
        return vectors if self.rotation is None else vectors @ self.rotation.T

    def tensors(self) -> dict[str, np.ndarray]:
        """The codebooks, the mean and the rotation, by name."""
        rotation = {} if self.rotation is None else {"rotation": self.rotation}
        return {**name_codebooks(self.codebooks), "mean": self.mean, **rotation}
