"""Order in time, duplicate interactions, and the leave-one-out split.

Interactions are parallel arrays. Users are indices in the order of their first appearance in the
source, so that sorting by user keeps that order.
"""

from typing import Literal

import numpy as np

from tiger_pipeline.catalog.sequences import SPLITS


def chronological_order(
    users: np.ndarray,
    timestamps: np.ndarray | None,
    splits: np.ndarray | None = None,
    ties: np.random.Generator | None = None,
) -> np.ndarray:
    """The rows grouped by user, oldest first.

    Args:
        users: int[n].
        timestamps: number[n], or None where the rows are already in order of time.
        splits: int8[n], index into `SPLITS` for a source with splits of its own; they go before
            time, so that a user's training interactions precede its targets.
        ties: shuffles a user's interactions at the same time; None keeps the source's order.

    Returns:
        int64[n], a permutation of the rows.
    """
    # lexsort is stable, so that without a first key the source's order breaks ties.
    keys: list[np.ndarray] = [] if ties is None else [ties.random(len(users))]
    if timestamps is not None:
        keys.append(timestamps)
    if splits is not None:
        keys.append(splits)
    return np.lexsort((*keys, users))


def count_tied(users: np.ndarray, timestamps: np.ndarray | None) -> int:
    """How many interactions share their time with another one of the same user.

    Args:
        users: int[n], grouped.
        timestamps: number[n], ascending for a user, or None.
    """
    if timestamps is None or len(users) < 2:
        return 0
    same = (users[1:] == users[:-1]) & (timestamps[1:] == timestamps[:-1])
    return int((np.append(same, False) | np.append(False, same)).sum())


def without_duplicates(
    users: np.ndarray, items: np.ndarray, policy: Literal["first", "last", "keep"]
) -> np.ndarray:
    """Which interactions stay when a user has several with the same item.

    Args:
        users: int[n].
        items: int[n]; rows are in order of time for each user.
        policy: the earliest stays, or the latest, or all.

    Returns:
        bool[n].
    """
    if policy == "keep" or len(users) == 0:
        return np.ones(len(users), dtype=bool)
    pairs = users.astype(np.int64) * (int(items.max()) + 1) + items
    if policy == "last":
        pairs = pairs[::-1]
    mask = np.zeros(len(pairs), dtype=bool)
    mask[np.unique(pairs, return_index=True)[1]] = True
    return mask[::-1] if policy == "last" else mask


def positions(users: np.ndarray) -> np.ndarray:
    """int32[n], 0-based place of each interaction in its user's history (rows grouped by user)."""
    rows = np.arange(len(users))
    starts = np.append(True, users[1:] != users[:-1]) if len(users) else np.zeros(0, dtype=bool)
    return (rows - np.maximum.accumulate(np.where(starts, rows, 0))).astype(np.int32)


def leave_one_out(users: np.ndarray, min_history: int) -> np.ndarray:
    """The split of each interaction: a user's last is "test", the one before it "valid".

    Args:
        users: int[n], grouped, each user's rows oldest first.
        min_history: users with fewer interactions are "train" throughout.

    Returns:
        int8[n], index into `SPLITS`.
    """
    length = np.bincount(users, minlength=1)[users]
    from_end = length - 1 - positions(users)
    splits = np.full(len(users), SPLITS.index("train"), dtype=np.int8)
    evaluated = length >= min_history
    splits[evaluated & (from_end == 1)] = SPLITS.index("valid")
    splits[evaluated & (from_end == 0)] = SPLITS.index("test")
    return splits
