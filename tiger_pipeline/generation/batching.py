"""Batches of examples of similar length, the same for the same (seed, epoch)."""

import numpy as np


def plan_batches(
    lengths: np.ndarray, tokens_per_batch: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Put every example into one batch of an epoch.

    Examples are shuffled, then sorted by length (equal lengths stay shuffled), cut where the next
    one would push the padded size, count × longest, over the budget, and the batches shuffled. So
    batches change from epoch to epoch and almost nothing in them is padding.

    Args:
        lengths: int64[n], positions of each example.
        tokens_per_batch: largest padded size; an example that is longer by itself is alone.
        rng: the epoch's generator.

    Returns:
        Rows int64[m] of each batch.
    """
    shuffled = rng.permutation(len(lengths))
    order = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    batches = cut_by_tokens(order, lengths, tokens_per_batch)
    return [batches[index] for index in rng.permutation(len(batches))]


def cut_by_tokens(order: np.ndarray, lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Cut rows into parts whose padded size, count × longest, stays within `tokens`.

    Args:
        order: int64[m], rows by ascending length.
        lengths: int64[n], positions of each example.
        tokens: largest padded size; a row that is longer by itself is alone.

    Returns:
        The parts of `order`, in its order.
    """
    sorted_lengths = lengths[order]
    parts = []
    start = 0
    while start < len(order):
        # Padded size of order[start:stop], for each stop: it only grows, so it can be searched.
        horizon = start + max(1, tokens // max(1, int(sorted_lengths[start])))
        padded = sorted_lengths[start:horizon] * np.arange(1, len(order[start:horizon]) + 1)
        stop = start + max(1, int(np.searchsorted(padded, tokens, side="right")))
        parts.append(order[start:stop])
        start = stop
    return parts
