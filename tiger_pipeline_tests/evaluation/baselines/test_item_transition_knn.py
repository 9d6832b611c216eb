import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.item_transitions import count_transitions
from tiger_pipeline.evaluation.baselines.item_transition_knn import (
    ItemTransitionKNN,
    TransitionSettings,
)
from tiger_pipeline_tests.evaluation.synthetic import histories_of

_HISTORIES = st.lists(st.lists(st.integers(0, 7), max_size=9), min_size=1, max_size=6)


def test_transitions_by_hand():
    # 0→1 and 1→2 at distance 1, 0→2 at distance 2; row 0 sums to 1.8, row 1 to 1.
    transitions = count_transitions(
        histories_of([0, 1, 2]), 3, window=6, distance_decay=0.8, row_exponent=0.5
    )
    assert transitions.offsets.tolist() == [0, 2, 3, 3]
    assert transitions.successors.tolist() == [1, 2, 2]
    assert transitions.weights == pytest.approx([1 / math.sqrt(1.8), 0.8 / math.sqrt(1.8), 1.0])


def test_recommendations_by_hand():
    # After 0 came 1 once and 2 twice at distance 1; after 3 came 1.
    training = histories_of([0, 1], [0, 2], [0, 2], [3, 1])
    knn = ItemTransitionKNN(training, 5)
    result = knn.recommend(histories_of([3, 0], [0], [4]), 5, exclude_seen=True)
    # Row sums 3 and 1: s(2) = 2/√3; s(1) = 1/√3 + 0.5 · 1 for the history 3, 0.
    first, second = 2 / math.sqrt(3), 1 / math.sqrt(3) + 0.5
    assert result.items[0].tolist() == [2, 1, 4, -1, -1]
    assert np.exp(result.logp[0][:2]) == pytest.approx(
        [first / (first + second), second / (first + second)], rel=1e-4
    )
    assert result.items[1].tolist() == [2, 1, 3, 4, -1]
    # Nothing ever followed item 4: the most popular items, ties by index.
    assert result.items[2].tolist() == [0, 1, 2, 3, -1]


def test_an_empty_history_gets_the_popular_items():
    result = ItemTransitionKNN(histories_of([1, 2], [2]), 4).recommend(
        histories_of([]), 3, exclude_seen=False
    )
    assert result.items.tolist() == [[2, 1, 0]]


def _brute_force(training, history, n_items, exclude_seen, s: TransitionSettings) -> np.ndarray:
    """The definition, item by item, with a dense matrix."""
    transitions = np.zeros((n_items, n_items))
    counts = np.ones(n_items)
    for items in training:
        for place, item in enumerate(items):
            counts[item] += 1
            for distance in range(1, min(s.window, len(items) - 1 - place) + 1):
                successor = items[place + distance]
                transitions[item, successor] += s.distance_decay ** (distance - 1)
    sums = transitions.sum(axis=1, keepdims=True)
    transitions /= np.where(sums > 0, sums, 1) ** s.row_exponent
    scores = np.zeros(n_items)
    for age, item in enumerate(history[::-1][: s.history_items]):
        scores += s.history_decay**age * transitions[item]
    popularity = counts / counts.sum()
    share = s.popularity_share if scores.sum() > 0 else 1.0
    mixed = (1 - share) * scores / max(scores.sum(), 1e-300) + share * popularity
    return np.where(np.isin(np.arange(n_items), history) & exclude_seen, 0.0, mixed)


@settings(max_examples=60, deadline=None)
@given(training=_HISTORIES, users=_HISTORIES, exclude_seen=st.booleans())
def test_equals_the_definition(training, users, exclude_seen):
    n_items, top_k = 9, 6
    chosen = TransitionSettings(window=3, history_items=4)
    knn = ItemTransitionKNN(histories_of(*training), n_items, chosen)
    result = knn.recommend(histories_of(*users), top_k, exclude_seen)
    for row, history in enumerate(users):
        expected = _brute_force(training, history, n_items, exclude_seen, chosen)
        best = np.sort(expected)[::-1][:top_k]
        assert np.exp(result.logp[row]) == pytest.approx(best, rel=1e-5)
        listed = result.items[row][result.items[row] >= 0]
        assert expected[listed] == pytest.approx(best[best > 0], rel=1e-9)
        assert len(set(listed.tolist())) == len(listed)


@settings(max_examples=30, deadline=None)
@given(training=_HISTORIES, users=_HISTORIES)
def test_the_logp_of_any_item_equals_the_definition(training, users):
    n_items = 9
    chosen = TransitionSettings(window=3, history_items=4, popularity_share=0.1)
    knn = ItemTransitionKNN(histories_of(*training), n_items, chosen)
    items = np.random.default_rng(0).integers(n_items, size=(len(users), 5))
    found = knn.logp(histories_of(*users), items)
    for row, history in enumerate(users):
        expected = _brute_force(training, history, n_items, False, chosen)[items[row]]
        assert np.exp(found[row]) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(training=_HISTORIES, users=_HISTORIES)
def test_batches_do_not_matter(training, users):
    knn = ItemTransitionKNN(histories_of(*training), 9)
    together = knn.recommend(histories_of(*users), 4, exclude_seen=True)
    for row, history in enumerate(users):
        alone = knn.recommend(histories_of(history), 4, exclude_seen=True)
        assert alone.items[0].tolist() == together.items[row].tolist()
