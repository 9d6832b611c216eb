import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.filters import at_least_rating, k_core
from tiger_pipeline.errors import ConfigurationError

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30)
CORES = st.integers(0, 4)


def peel(pairs: list[tuple[int, int]], user_core: int, item_core: int) -> list[bool]:
    """The definition: remove one offending interaction at a time, in any order."""
    alive = set(range(len(pairs)))
    while True:
        for row in sorted(alive):
            user, item = pairs[row]
            of_user = sum(pairs[other][0] == user for other in alive)
            of_item = sum(pairs[other][1] == item for other in alive)
            if of_user < user_core or of_item < item_core:
                alive.remove(row)
                break
        else:
            return [row in alive for row in range(len(pairs))]


def core_of(pairs: list[tuple[int, int]], user_core: int, item_core: int) -> np.ndarray:
    users, items = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return k_core(users, items, user_core, item_core)


@given(PAIRS, CORES, CORES)
@settings(max_examples=60, deadline=None)
def test_the_core_is_what_peeling_one_at_a_time_leaves(pairs, user_core, item_core) -> None:
    assert core_of(pairs, user_core, item_core).tolist() == peel(pairs, user_core, item_core)


@given(PAIRS, CORES, CORES)
@settings(max_examples=40, deadline=None)
def test_the_core_satisfies_its_condition_and_is_a_fixed_point(pairs, user_core, item_core) -> None:
    kept = np.array(pairs, dtype=np.int64).reshape(-1, 2)[core_of(pairs, user_core, item_core)]
    for column, core in ((0, user_core), (1, item_core)):
        counts = np.unique(kept[:, column], return_counts=True)[1]
        assert (counts >= core).all()
    assert core_of(kept.tolist(), user_core, item_core).all()


@given(PAIRS.filter(lambda pairs: len(pairs) <= 9), CORES, CORES)
@settings(max_examples=25, deadline=None)
def test_no_subset_that_satisfies_the_condition_has_a_row_outside_the_core(
    pairs, user_core, item_core
) -> None:
    core = core_of(pairs, user_core, item_core)
    for subset in range(1 << len(pairs)):
        rows = [row for row in range(len(pairs)) if subset >> row & 1]
        users, items = [pairs[r][0] for r in rows], [pairs[r][1] for r in rows]
        if all(users.count(user) >= user_core for user in users) and all(
            items.count(item) >= item_core for item in items
        ):
            assert core[rows].all()


def test_removal_that_takes_several_rounds() -> None:
    # A chain: dropping user 0 makes item 1 rare, which makes user 1 short, and so on.
    pairs = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2)]
    assert not core_of(pairs, 2, 2).any()
    ring = [*pairs[1:-1], (3, 2), (3, 0)]
    assert core_of(ring, 2, 2).all()


def test_rating_threshold() -> None:
    ratings = np.array([5.0, 3.0, np.nan, 2.9])
    assert at_least_rating(ratings, 3).tolist() == [True, True, False, False]
    assert at_least_rating(ratings, 0) is None
    assert at_least_rating(None, 0) is None
    with pytest.raises(ConfigurationError, match=r"min_rating is 3, .* no ratings"):
        at_least_rating(None, 3)
