"""Which recommended items, or targets, are already in a user's own history."""

import numpy as np

from tiger_pipeline.catalog.sequences import Histories


def pairs_seen(histories: Histories, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Whether `items[j]` is in the history at `rows[j]`.

    Args:
        histories: n item sequences.
        rows: int[m], 0…n−1.
        items: int[m], item indices; negative entries stand for no item.

    Returns:
        bool[m]; False for no item.
    """
    largest = max(histories.items.max(initial=0), items.max(initial=0))
    stride = np.int64(largest) + 2  # key 0 of each row is left to "no item"
    history_rows = np.repeat(np.arange(len(histories)), histories.lengths)
    history_keys = history_rows * stride + histories.items + 1
    return np.isin(rows * stride + np.maximum(items, -1) + 1, history_keys)


def lists_seen(histories: Histories, items: np.ndarray) -> np.ndarray:
    """Whether each item of each user's list is in that user's history.

    Args:
        histories: n item sequences.
        items: int[n, m], item indices; negative entries stand for no item.

    Returns:
        bool[n, m]; False for no item.

    >>> histories = Histories(np.arange(2), np.array([0, 2, 3]), np.array([4, 1, 0]))
    >>> lists_seen(histories, np.array([[1, 0], [0, -1]])).tolist()
    [[True, False], [True, False]]
    """
    rows = np.repeat(np.arange(len(histories)), items.shape[1])
    return pairs_seen(histories, rows, items.ravel()).reshape(items.shape)
