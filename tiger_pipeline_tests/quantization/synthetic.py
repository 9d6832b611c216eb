"""Small vectors for the tests of the quantizers."""

import numpy as np


def blobs(n: int, dimension: int, centers: int, seed: int, spread: float = 0.2) -> np.ndarray:
    """float32[n, dimension] around random centers."""
    generator = np.random.default_rng(seed)
    middle = generator.normal(size=(centers, dimension))
    noise = spread * generator.normal(size=(n, dimension))
    return (middle[generator.integers(centers, size=n)] + noise).astype(np.float32)


def all_squared_distances(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """float64[n, k], one difference at a time."""
    differences = vectors[:, None].astype(np.float64) - centroids[None].astype(np.float64)
    return (differences**2).sum(axis=2)
