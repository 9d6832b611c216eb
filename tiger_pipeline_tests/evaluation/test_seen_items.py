import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.evaluation.seen_items import lists_seen, pairs_seen
from tiger_pipeline_tests.evaluation.synthetic import histories_of

_ITEM = st.integers(0, 6)


@settings(max_examples=80, deadline=None)
@given(
    histories=st.lists(st.lists(_ITEM, max_size=5), min_size=1, max_size=6),
    width=st.integers(0, 4),
    data=st.data(),
)
def test_equals_a_look_into_every_history(histories, width, data):
    row = st.lists(st.integers(-1, 8), min_size=width, max_size=width)
    lists = data.draw(st.lists(row, min_size=len(histories), max_size=len(histories)))
    expected = [
        [item in history for item in items] for items, history in zip(lists, histories, strict=True)
    ]
    items = np.array(lists, dtype=np.int32).reshape(len(histories), width)
    assert lists_seen(histories_of(*histories), items).tolist() == expected


def test_an_item_of_the_next_user_is_not_seen():
    histories = histories_of([], [0], [3])
    assert pairs_seen(histories, np.array([0, 1, 1, 2]), np.array([3, 0, -1, 0])).tolist() == [
        False,
        True,
        False,
        False,
    ]
