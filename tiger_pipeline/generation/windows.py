"""Cutting item sequences to the length that a generator sees."""

from dataclasses import dataclass

import numpy as np

from tiger_pipeline.catalog.sequences import Histories


@dataclass(frozen=True)
class TrainingWindows:
    """Parts of training sequences in which every interaction is a target exactly once.

    Attributes:
        offsets: int64[n + 1]; window i is `items[offsets[i]:offsets[i + 1]]`.
        items: int32[total], item indices.
        is_target: bool[total]; False where an item is there only as context, because an earlier
            window has it as a target.
    """

    offsets: np.ndarray
    items: np.ndarray
    is_target: np.ndarray


def _positions(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int64[n + 1] and, flat, the positions starts[i] … starts[i] + lengths[i] − 1."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    positions = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return offsets, positions


def training_windows(histories: Histories, history_items: int) -> TrainingWindows:
    """Cut sequences into windows of at most `history_items` items and one last target.

    The first window holds as many targets as it has items. Each later one moves on by half a
    window: its first half is context that was a target before, so that no target but those at a
    sequence's beginning has less than half a window before it. A sequence that fits into one
    window is left whole.
    """
    size = history_items + 1
    step = (size + 1) // 2
    lengths = histories.lengths
    n_windows = np.where(lengths > size, 1 + -(-(lengths - size) // step), (lengths > 0) * 1)
    sequence = np.repeat(np.arange(len(histories)), n_windows)
    index = np.arange(len(sequence)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)

    starts = histories.offsets[:-1][sequence] + index * step
    stops = np.minimum(starts + size, histories.offsets[1:][sequence])
    offsets, positions = _positions(starts, stops - starts)
    first_target = np.where(index > 0, size - step, 0)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], stops - starts)
    is_target = within >= np.repeat(first_target, stops - starts)
    return TrainingWindows(offsets, histories.items[positions], is_target)


def most_recent(histories: Histories, history_items: int) -> Histories:
    """The last `history_items` items of every sequence."""
    lengths = np.minimum(histories.lengths, history_items)
    offsets, positions = _positions(histories.offsets[1:] - lengths, lengths)
    return Histories(histories.users, offsets, histories.items[positions])
