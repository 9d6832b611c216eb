"""Vectors of items by which items stand in the same histories.

The weighted co-occurrences of the training histories become positive pointwise mutual information,
and that is factorized: what word2vec does implicitly (Levy & Goldberg 2014, "Neural Word Embedding
as Implicit Matrix Factorization"), with a smoothed distribution of contexts (Levy, Goldberg &
Dagan 2015, eq. 3).
"""

import numpy as np

from tiger_pipeline.catalog.item_transitions import count_transitions
from tiger_pipeline.catalog.sequences import Histories

_CONTEXT_EXPONENT = 0.75
_ITEMS_PER_DIMENSION = 2


def cooccurrence_vectors(
    training: Histories, n_items: int, dimension: int, window: int, distance_decay: float
) -> np.ndarray:
    """The left singular vectors, times the root of the singular values, of the items' PPMI.

    Args:
        training: the training interactions.
        n_items: size of the catalog.
        dimension: at most, of the vectors; a small catalog has fewer.
        window: longest distance, in steps, at which two items occur together.
        distance_decay: weight of a pair one step further apart.

    Returns:
        float32[n_items, k], k ≤ `dimension`; zeros for an item that stands beside no other.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    followed = count_transitions(training, n_items, window, distance_decay, row_exponent=0)
    parts = (followed.weights, followed.successors, followed.offsets)
    one_way = csr_matrix(parts, shape=(n_items, n_items))
    together = (one_way + one_way.T).tocoo()
    rank = min(dimension, n_items // _ITEMS_PER_DIMENSION)
    if together.nnz == 0 or rank == 0:
        return np.zeros((n_items, max(rank, 1)), dtype=np.float32)
    sums = np.asarray(together.sum(axis=1)).ravel()
    contexts = sums**_CONTEXT_EXPONENT
    contexts /= contexts.sum()
    ratio = together.data / sums[together.row] / contexts[together.col]
    information = np.log(np.maximum(ratio, 1))
    matrix = csr_matrix((information, (together.row, together.col)), shape=one_way.shape)
    # A start of its own makes the iteration repeatable.
    start = np.random.default_rng(0).normal(size=n_items)
    left, singular, _ = svds(matrix, k=rank, v0=start)
    return (left * np.sqrt(singular)).astype(np.float32)


def predicted_by_text(
    text: np.ndarray, vectors: np.ndarray, interactions: np.ndarray, ridge: float
) -> np.ndarray:
    """The linear map from text to vectors with the least weighted squared error.

    Args:
        text: float32[n, d].
        vectors: float32[n, k], to be predicted.
        interactions: int[n], training interactions; an item counts by their root.
        ridge: added to the diagonal of the normal equations.

    Returns:
        float32[d, k].
    """
    weights = np.sqrt(interactions)[:, None]
    gram = text.T @ (weights * text) + ridge * np.eye(text.shape[1])
    return np.linalg.solve(gram, text.T @ (weights * vectors)).astype(np.float32)
