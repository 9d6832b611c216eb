"""Random codes: the floor that every quantizer must beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.config import RandomConfig
from tiger_pipeline.quantization.row_hash import hash_rows, hash_weights, mix64
from tiger_pipeline.quantization.vectors import check_vectors, check_vectors_to_fit
from tiger_pipeline.storage.mapped import vector_blocks


@dataclass(frozen=True)
class RandomCodes:
    """Codes drawn uniformly by a seeded hash of the bytes of each vector.

    Equal vectors share their codes, new ones get theirs without another fit, and the codes say
    nothing about what a vector is near to. So every vector is reconstructed as the mean.

    Attributes:
        config: how it was fitted.
        weights: uint64[d + 1], multipliers of the hash.
        mean: float32[d], mean of the vectors that it was fitted on.
        history: None, as nothing is trained by epochs.
    """

    config: RandomConfig
    weights: np.ndarray
    mean: np.ndarray
    history: ClassVar[None] = None

    @classmethod
    def fit(cls, config: RandomConfig, vectors: np.ndarray, progress: Progress) -> "RandomCodes":
        """Draw the hash and take the mean of `vectors` (float32[n, d]).

        Raises:
            InputError: the vectors are not a finite float32 matrix.
        """
        check_vectors_to_fit(vectors)
        weights = hash_weights(vectors.shape[1], config.seed)
        total = np.zeros(vectors.shape[1])
        for _, block in vector_blocks(vectors):
            total += block.sum(axis=0, dtype=np.float64)
        return cls(config, weights, (total / len(vectors)).astype(np.float32))

    @classmethod
    def from_tensors(cls, config: RandomConfig, tensors: dict[str, np.ndarray]) -> "RandomCodes":
        """The inverse of `tensors`.

        Raises:
            ArtifactError: a tensor is missing, or the two do not fit together.
        """
        weights, mean = tensors.get("weights"), tensors.get("mean")
        if weights is None or mean is None or weights.shape != (mean.size + 1,):
            raise ArtifactError(
                "The hash of the random codes is missing or incomplete. "
                "Materialize the asset codebooks again."
            )
        return cls(config, weights, mean)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codewords of each level."""
        return (self.config.codewords,) * self.config.levels

    @property
    def dimension(self) -> int:
        """Dimension d of the vectors."""
        return len(self.mean)

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """`vectors` as they are."""
        return vectors

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of `vectors` (float32[n, d]), each a function of its row alone."""
        check_vectors(vectors, self.dimension)
        codes = np.empty((len(vectors), self.config.levels), dtype=np.int32)
        for rows, block in vector_blocks(vectors):
            hashes = hash_rows(block, self.weights)
            for level in range(self.config.levels):
                hashes = mix64(hashes + np.uint64(level + 1))
                # The upper half of the hash, scaled from [0, 2^32) to [0, codewords).
                scaled = (hashes >> np.uint64(32)) * np.uint64(self.config.codewords)
                codes[rows, level] = scaled >> np.uint64(32)
        return codes

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """float32[n, d], the mean for every row of `codes` (int32[n, l])."""
        return np.broadcast_to(self.mean, (len(codes), self.dimension))

    def tensors(self) -> dict[str, np.ndarray]:
        """The hash and the mean, by name."""
        return {"weights": self.weights, "mean": self.mean}
