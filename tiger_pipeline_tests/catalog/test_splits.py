from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.sequences import SPLITS
from tiger_pipeline.catalog.splits import (
    chronological_order,
    count_tied,
    global_time,
    leave_one_out,
    positions,
    time_at,
    without_duplicates,
)

EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=25
)


def columns(events: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(events, dtype=np.int64).T


@given(EVENTS)
@settings(max_examples=40, deadline=None)
def test_source_order_is_a_stable_sort(events) -> None:
    users, _, times = columns(events)
    expected = sorted(range(len(events)), key=lambda row: (events[row][0], events[row][2]))
    assert chronological_order(users, times).tolist() == expected


@given(EVENTS, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_shuffling_ties_moves_rows_only_within_a_user_and_a_time(events, seed) -> None:
    users, _, times = columns(events)
    order = chronological_order(users, times, ties=np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(events)))
    stable = chronological_order(users, times)
    assert (users[order] == users[stable]).all()
    assert (times[order] == times[stable]).all()
    again = chronological_order(users, times, ties=np.random.default_rng(seed))
    assert (order == again).all()


def test_shuffling_ties_gives_every_order_about_equally_often() -> None:
    users, times = np.zeros(3, dtype=np.int64), np.full(3, 7)
    generator = np.random.default_rng(0)
    seen = [tuple(chronological_order(users, times, ties=generator)) for _ in range(600)]
    counts = {order: seen.count(order) for order in set(seen)}
    assert len(counts) == 6
    # 100 expected each, standard deviation 9.1: five of them.
    assert all(55 < count < 145 for count in counts.values())


def test_without_timestamps_the_rows_are_in_order_of_time() -> None:
    assert chronological_order(np.array([1, 0, 1, 0]), None).tolist() == [1, 3, 0, 2]


def test_splits_of_the_source_go_before_time() -> None:
    users, times = np.zeros(3, dtype=np.int64), np.array([9, 1, 5])
    splits = np.array([0, 2, 1], dtype=np.int8)
    assert chronological_order(users, times, splits).tolist() == [0, 2, 1]


def test_tied_interactions_are_counted_within_a_user() -> None:
    users = np.array([0, 0, 0, 1, 1, 2])
    times = np.array([1, 1, 1, 1, 2, 2])
    assert count_tied(users, times) == 3
    assert count_tied(users, None) == 0
    assert count_tied(users[:1], times[:1]) == 0


@given(EVENTS, st.sampled_from(["first", "last", "keep"]))
@settings(max_examples=60, deadline=None)
def test_duplicates_against_a_dictionary(events, policy) -> None:
    users, items, _ = columns(events)
    kept = {}
    for row, (user, item, _) in enumerate(events):
        if policy == "keep":
            kept[row] = row
        elif policy == "last":
            kept[user, item] = row
        else:
            kept.setdefault((user, item), row)
    mask = without_duplicates(users, items, policy)
    assert np.flatnonzero(mask).tolist() == sorted(kept.values())


def test_leave_one_out_by_hand() -> None:
    users = np.repeat([0, 1, 2], [4, 2, 3])
    names = np.array(SPLITS)
    assert names[leave_one_out(users, min_history=3)].tolist() == [
        "train", "train", "valid", "test",
        "train", "train",
        "train", "valid", "test",
    ]  # fmt: skip
    assert names[leave_one_out(users, min_history=4)].tolist()[4:] == ["train"] * 5


def test_positions_count_from_zero_for_every_user() -> None:
    assert positions(np.array([3, 3, 0, 1, 1, 1])).tolist() == [0, 1, 0, 0, 1, 2]
    assert positions(np.array([], dtype=np.int64)).tolist() == []


def test_a_global_time_split_by_hand() -> None:
    # user 0 is there all the time, 1 not before the first cut, 2 only after the second,
    # 3 skips the validation period, 4 is never seen again.
    users = np.repeat([0, 1, 2, 3, 4], [7, 3, 2, 2, 1])
    times = np.array([1, 9, 10, 11, 20, 20, 25, 10, 12, 21, 20, 30, 3, 29, 9])
    names = np.array(SPLITS)[global_time(users, times, valid_from=10, test_from=20)]
    assert names.tolist() == [
        "train", "train", "valid", "valid_rest", "test", "test_rest", "test_rest",
        "valid_rest", "valid_rest", "test",
        "test_rest", "test_rest",
        "train", "test",
        "train",
    ]  # fmt: skip


@given(EVENTS, st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_global_time_split_against_its_definition(events, valid_from, period) -> None:
    users, _, times = columns(sorted(events, key=lambda event: (event[0], event[2])))
    test_from = valid_from + period
    splits = global_time(users, times, valid_from, test_from)
    expected: list[str] = []
    for user in np.unique(users):
        own = times[users == user]
        targets = {}
        for name, start, stop in (("valid", valid_from, test_from), ("test", test_from, np.inf)):
            inside = np.flatnonzero((own >= start) & (own < stop))
            if len(inside) and (own < start).any():
                targets[inside[0]] = name
        for row, time in enumerate(own):
            period_name = ("train", "valid_rest", "test_rest")[
                int(time >= valid_from) + int(time >= test_from)
            ]
            expected.append(targets.get(row, period_name))
    assert np.array(SPLITS)[splits].tolist() == expected


def test_cuts_are_shares_of_interactions_or_midnights() -> None:
    times = np.array([50, 10, 40, 20, 30, 30])
    assert [time_at(times, share) for share in (0.1, 0.5, 0.99)] == [10, 30, 50]
    assert (times < time_at(times, 0.5)).mean() <= 0.5
    assert time_at(times, date(1970, 1, 3)) == 2 * 24 * 60 * 60
