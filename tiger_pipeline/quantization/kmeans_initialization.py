"""Where k-means starts: three ways to choose the initial centroids."""

import math
from typing import Literal

import numpy as np

from tiger_pipeline.quantization.row_hash import hash_rows, hash_weights
from tiger_pipeline.quantization.vectors import row_blocks

Initialization = Literal["random", "points", "k-means++"]


def initial_centroids(
    initialization: Initialization,
    vectors: np.ndarray,
    clusters: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Choose the initial centroids.

    Args:
        initialization: `random` draws from a Gaussian with the vectors' mean and covariance,
            `points` takes distinct vectors, `k-means++` takes vectors that are far apart.
        vectors: float32[n, d] with at least `clusters` distinct rows.
        clusters: number of centroids k.
        generator: of all draws.

    Returns:
        float32[k, d].
    """
    if initialization == "random":
        return _gaussian_centroids(vectors, clusters, generator)
    if initialization == "points":
        return _distinct_points(vectors, clusters, generator)
    return _kmeans_plus_plus(vectors, clusters, generator)


def _gaussian_centroids(
    vectors: np.ndarray, clusters: int, generator: np.random.Generator
) -> np.ndarray:
    """Draws from a Gaussian with the sample mean and covariance.

    A sum of the centered vectors, weighted by independent standard normal numbers and divided by
    √(n − 1), has exactly the sample covariance: no d × d matrix is needed, nor its full rank.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    sums = np.zeros((clusters, vectors.shape[1]))
    for block in row_blocks(len(vectors)):
        centered = vectors[block] - mean.astype(np.float32)
        weights = generator.standard_normal((clusters, len(centered)), dtype=np.float32)
        sums += weights @ centered
    return (mean + sums / math.sqrt(max(len(vectors) - 1, 1))).astype(np.float32)


def _distinct_points(
    vectors: np.ndarray, clusters: int, generator: np.random.Generator
) -> np.ndarray:
    shuffled = generator.permutation(len(vectors))
    weights = hash_weights(vectors.shape[1], seed=0)
    seen = np.empty(0, dtype=np.uint64)
    for block in row_blocks(len(vectors), rows_per_block=2 * clusters):
        seen = np.concatenate([seen, hash_rows(vectors[shuffled[block]], weights)])
        _, first_places = np.unique(seen, return_index=True)
        if len(first_places) >= clusters:
            break
    return vectors[shuffled[np.sort(first_places)[:clusters]]]


def _kmeans_plus_plus(
    vectors: np.ndarray, clusters: int, generator: np.random.Generator
) -> np.ndarray:
    """Greedy k-means++ (Arthur and Vassilvitskii, 2007).

    Each centroid is the best of 2 + ⌊ln k⌋ vectors drawn with probability proportional to the
    squared distance to the nearest centroid so far.
    """
    candidates = 2 + int(math.log(clusters))
    squared_norms = np.einsum("ij,ij->i", vectors, vectors)
    rows = np.empty(clusters, dtype=np.int64)
    rows[0] = generator.integers(len(vectors))
    nearest = _distances_to_rows(vectors, squared_norms, rows[:1])[0]
    for chosen in range(1, clusters):
        cumulative = np.cumsum(nearest, dtype=np.float64)
        draws = generator.random(candidates) * cumulative[-1]
        drawn = np.minimum(np.searchsorted(cumulative, draws, side="right"), len(vectors) - 1)
        distances = np.minimum(_distances_to_rows(vectors, squared_norms, drawn), nearest)
        best = int(distances.sum(axis=1, dtype=np.float64).argmin())
        rows[chosen], nearest = drawn[best], distances[best]
    return vectors[rows]


def _distances_to_rows(
    vectors: np.ndarray, squared_norms: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """float32[m, n], squared distances of all vectors to those at `rows`, which get exact zeros."""
    products = vectors[rows] @ vectors.T
    distances = squared_norms[rows, None] + squared_norms - 2 * products
    distances[np.arange(len(rows)), rows] = 0
    return np.maximum(distances, 0)
