"""k-means of one level with clusters of nearly equal size.

Sizes are evened out by a price for each codeword: a vector goes where squared distance plus price
is least. These prices are the dual variables of the balanced assignment problem (Aurenhammer,
Hoffmann and Aronov, "Minkowski-type theorems and least-squares clustering", 1998), so a vector's
code still depends on that vector alone, and a new vector is assigned by the same rule.
"""

import math

import numpy as np

from tiger_pipeline.progress import ProgressTask
from tiger_pipeline.quantization.vectors import row_blocks

_STEP_SHARE, _STEP_DECAY, _LAST_STEP_SHARE = 0.5, 0.97, 0.02
"""First step of the prices over the mean gap between a vector's best two codewords; then its decay,
down to a share of the first step."""
_PASSES, _LAST_PASSES = 30, 1000
"""Most updates of the prices in an iteration, and for the final centroids. Prices carry over from
one iteration to the next, so all but the first few need a handful."""
_PATIENCE = 200
"""Updates without a more even assignment, after which none is expected."""


def largest_size(vectors: int, codewords: int, balance: float) -> int:
    """Most vectors a codeword may get: `balance` × the mean, but never less than ⌈mean⌉."""
    mean = vectors / codewords
    return max(math.ceil(mean), math.floor(balance * mean))


def fit_balanced_kmeans(
    vectors: np.ndarray,
    centroids: np.ndarray,
    iterations: int,
    largest: int,
    task: ProgressTask,
) -> tuple[np.ndarray, np.ndarray]:
    """Alternate between balanced assignment and means, as Lloyd's algorithm does without prices.

    The distances of all vectors to all centroids are held at once: 4 · n · k bytes.

    Args:
        vectors: float32[n, d].
        centroids: float32[k, d], the initial centroids.
        iterations: number of centroid updates.
        largest: size that no cluster should exceed.
        task: advanced by `iterations` in all.

    Returns:
        The centroids float32[k, d] and their prices float32[k]. When vectors are too alike to be
        told apart, clusters can stay larger than `largest`: look at their sizes.
    """
    centroids = centroids.copy()
    prices = np.zeros(len(centroids), dtype=np.float32)
    norms = np.square(vectors).sum(axis=1)
    for _ in range(iterations):
        distances = _distances(vectors, norms, centroids)
        prices, codes = _balance(distances, prices, largest, _PASSES)
        sizes = np.bincount(codes, minlength=len(centroids))
        task.advance(largest_over_mean=sizes.max() / sizes.mean())
        for codeword in np.flatnonzero(sizes):
            members = vectors[codes == codeword]
            centroids[codeword] = members.mean(axis=0, dtype=np.float64)
    distances = _distances(vectors, norms, centroids)
    return centroids, _balance(distances, prices, largest, _LAST_PASSES)[0]


def _distances(vectors: np.ndarray, norms: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """float32[n, k], squared."""
    distances = vectors @ (-2 * centroids.T)
    distances += np.square(centroids).sum(axis=1)
    distances += norms[:, None]
    return distances


def _balance(
    distances: np.ndarray, prices: np.ndarray, largest: int, passes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Raise the prices of large clusters and lower those of small ones until all fit.

    Returns:
        The prices float32[k] that were seen to leave fewest vectors beyond the largest size, and
        the codes int64[n] by them.
    """
    even = len(distances) / len(prices)
    first_step = _STEP_SHARE * _mean_gap(distances, prices)
    step = first_step
    least, best_prices, best_codes = len(distances) + 1, prices, np.empty(0, dtype=np.int64)
    best_pass = 0
    for done in range(passes):
        codes = _cheapest(distances, prices)
        sizes = np.bincount(codes, minlength=len(prices))
        excess = int(np.maximum(sizes - largest, 0).sum())
        if excess < least:
            least, best_prices, best_codes = excess, prices, codes
            best_pass = done
        if least == 0 or done - best_pass == _PATIENCE:
            break
        prices = prices + (step * np.log((sizes + 1) / (even + 1))).astype(np.float32)
        step = max(step * _STEP_DECAY, _LAST_STEP_SHARE * first_step)
    return best_prices, best_codes


def _cheapest(distances: np.ndarray, prices: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [(distances[block] + prices).argmin(axis=1) for block in row_blocks(len(distances))]
    )


def _mean_gap(distances: np.ndarray, prices: np.ndarray) -> float:
    """Mean difference between the second-best and the best codeword of a vector."""
    total = 0.0
    for block in row_blocks(len(distances)):
        best_two = np.partition(distances[block] + prices, 1, axis=1)[:, :2]
        total += float((best_two[:, 1] - best_two[:, 0]).sum(dtype=np.float64))
    return total / len(distances)
