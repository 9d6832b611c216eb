"""The nearest codeword of a vector, as a function of that vector alone."""

import numpy as np

from tiger_pipeline.quantization.faiss_search import search_nearest

_ROWS_PER_EXACT_BLOCK = 32


def nearest_codewords(vectors: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Find each vector's nearest codeword; of equally near ones, the first.

    The distances of a batched search carry rounding that depends on the batch, so a vector about
    equally near to two codewords could get another code in another batch. Such vectors are
    compared again in float64, each on its own.

    Args:
        vectors: float32[n, d].
        codebook: float32[k, d].

    Returns:
        int64[n].
    """
    distances, codewords = search_nearest(vectors, codebook, 2)
    codes = codewords[:, 0].copy()
    squared_norms = np.square(codebook).sum(axis=1)
    scale = np.square(vectors).sum(axis=1) + squared_norms[codewords].sum(axis=1)
    rounding = 8 * np.finfo(np.float32).eps * np.sqrt(vectors.shape[1]) * scale
    close = np.flatnonzero(distances[:, 1] - distances[:, 0] <= rounding)
    exact_codebook = codebook.astype(np.float64)
    for start in range(0, len(close), _ROWS_PER_EXACT_BLOCK):
        rows = close[start : start + _ROWS_PER_EXACT_BLOCK]
        codes[rows] = squared_distances(vectors[rows][:, None], exact_codebook).argmin(axis=1)
    return codes


def priced_codewords(vectors: np.ndarray, codebook: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Codeword with the least squared distance plus price, a function of each vector alone.

    Args:
        vectors: float32[n, d].
        codebook: float32[k, d].
        prices: float32[k].

    Returns:
        int64[n].
    """
    # One more coordinate, 0 for vectors and √price for codewords, adds the price to the distance.
    roots = np.sqrt(prices - prices.min())
    extended = np.concatenate([vectors, np.zeros((len(vectors), 1), np.float32)], axis=1)
    return nearest_codewords(extended, np.concatenate([codebook, roots[:, None]], axis=1))


def squared_distances(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float64[…], squared distances along the last axis, free of cancellation."""
    return np.square(vectors.astype(np.float64) - others).sum(axis=-1)
