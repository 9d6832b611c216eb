from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.generation.windows import most_recent, training_windows
from tiger_pipeline_tests.generation.catalogs import histories_of


def test_windows_by_hand() -> None:
    # 3 items of history: windows of 4, moving on by 2.
    windows = training_windows(histories_of([list(range(7)), [], [50, 51]]), history_items=3)
    parts = np.split(windows.items, windows.offsets[1:-1])
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6], [50, 51]]
    marks = np.split(windows.is_target, windows.offsets[1:-1])
    assert [mark.astype(int).tolist() for mark in marks] == [
        [1, 1, 1, 1],
        [0, 0, 1, 1],
        [0, 0, 1],
        [1, 1],
    ]


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_every_interaction_is_a_target_once_with_enough_before_it(
    lengths: list[int], history_items: int
) -> None:
    ends = np.cumsum([0, *lengths])
    histories = histories_of([list(range(a, b)) for a, b in pairwise(ends.tolist())])
    windows = training_windows(histories, history_items)

    assert sorted(windows.items[windows.is_target].tolist()) == list(range(ends[-1]))
    for index in range(len(windows.offsets) - 1):
        part = slice(windows.offsets[index], windows.offsets[index + 1])
        items = windows.items[part]
        assert len(items) <= history_items + 1
        assert (np.diff(items) == 1).all()
        for place in np.flatnonzero(windows.is_target[part]):
            before_in_history = (
                items[place] - ends[np.searchsorted(ends, items[place], "right") - 1]
            )
            assert place >= min(before_in_history, (history_items + 1) // 2)


def test_most_recent_keeps_the_end_of_each_history() -> None:
    recent = most_recent(histories_of([[1, 2, 3], [], [4]]), 2)
    assert [recent[user].tolist() for user in range(3)] == [[2, 3], [], [4]]
