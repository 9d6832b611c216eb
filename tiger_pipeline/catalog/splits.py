"""Order in time, duplicate interactions, and the two ways to split.

Interactions are parallel arrays. Users are indices in the order of their first appearance in the
source, so that sorting by user keeps that order.
"""

from datetime import date, datetime, timezone
from typing import Literal

import numpy as np

from tiger_pipeline.catalog.sequences import SPLITS

_TRAIN, _VALID, _VALID_REST, _TEST, _TEST_REST = range(len(SPLITS))


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
    splits = np.full(len(users), _TRAIN, dtype=np.int8)
    evaluated = length >= min_history
    splits[evaluated & (from_end == 1)] = _VALID
    splits[evaluated & (from_end == 0)] = _TEST
    return splits


def time_at(timestamps: np.ndarray, cut: float | date) -> float:
    """The Unix time at which a period begins.

    Args:
        timestamps: number[n], n > 0.
        cut: a date, for its midnight (UTC); or a share, 0…1, of interactions that come before.
    """
    if isinstance(cut, date):
        return datetime(cut.year, cut.month, cut.day, tzinfo=timezone.utc).timestamp()
    ordered = np.sort(timestamps)
    return float(ordered[min(int(cut * len(ordered)), len(ordered) - 1)])


def global_time(
    users: np.ndarray, timestamps: np.ndarray, valid_from: float, test_from: float
) -> np.ndarray:
    """The split of each interaction when the whole dataset is cut at two moments in time.

    Leave-one-out lets a model train on what other users did after a target's time; here nothing
    from `valid_from` on is trained on (Ji et al. 2023, arXiv:2010.11060, on that leak).

    - Before `valid_from`: "train", all that models, baselines and priors are fitted on. The model
      is not trained again for the test.
    - Until `test_from`: a user's first interaction is "valid", the target whose history is all of
      the user's training interactions. Those after it are "valid_rest".
    - From `test_from` on: a user's first interaction is "test", the target whose history is all
      that the user did before, the validation period included. Those after it are "test_rest".

    So a target is what a user does next after the cut, asked at the moment of the cut. A user who
    has no history there has no target in that period: all of it is rest. Targets may be items that
    nobody had before the first cut.

    Args:
        users: int[n], grouped, each user's rows oldest first.
        timestamps: number[n], Unix seconds.
        valid_from: Unix seconds.
        test_from: Unix seconds, after `valid_from`.

    Returns:
        int8[n], index into `SPLITS`.
    """
    periods = (timestamps >= valid_from).astype(np.int8) + (timestamps >= test_from)
    splits = np.array([_TRAIN, _VALID_REST, _TEST_REST], dtype=np.int8)[periods]
    # A row that follows one of the same user in an earlier period opens a period with a history.
    opens = np.append(False, (users[1:] == users[:-1]) & (periods[1:] > periods[:-1]))
    splits[opens & (splits == _TEST_REST)] = _TEST
    splits[opens & (splits == _VALID_REST)] = _VALID
    return splits
