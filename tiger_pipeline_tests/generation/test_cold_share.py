import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.generation.cold_share import WarmAndCold, most_cold_items
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations

FIRST_COLD = 100


def lists_of(seed: int, first: int, n: int, k: int, filled: int) -> Recommendations:
    """Ranked random scores with ties; places from `filled` on are empty."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(20)[:k] for _ in range(n)]).astype(np.int32) + first
    logp = -np.sort(rng.integers(0, 12, (n, k)), axis=1).astype(np.float32)
    items[:, filled:], logp[:, filled:] = NO_ITEM, -np.inf
    return Recommendations(items, logp)


def by_hand(warm: list, cold: list, top_k: int, most: int) -> list[int]:
    """The rule, one place after another: the best one left that is still allowed."""
    chosen: list[int] = []
    n_cold = 0
    while len(chosen) < top_k and (warm or (cold and n_cold < most)):
        takes_cold = n_cold < most and cold and (not warm or cold[0][0] > warm[0][0])
        source = cold if takes_cold else warm
        if not source:
            break
        n_cold += bool(takes_cold)
        chosen.append(source.pop(0)[1])
    return chosen + [NO_ITEM] * (top_k - len(chosen))


def pairs(found: Recommendations, row: int) -> list[tuple[float, int]]:
    return [
        (float(score), int(item))
        for score, item in zip(found.logp[row], found.items[row], strict=True)
        if item != NO_ITEM
    ]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    top_k=st.integers(1, 8),
    epsilon=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]),
    warm_filled=st.integers(0, 8),
    cold_filled=st.integers(0, 8),
)
def test_lists_are_those_of_the_rule(seed, top_k, epsilon, warm_filled, cold_filled):
    warm = lists_of(seed, 0, 4, 8, warm_filled)
    cold = lists_of(seed + 1, FIRST_COLD, 4, 8, cold_filled)
    found = WarmAndCold(warm, cold).limited(top_k, epsilon)
    most = math.floor(epsilon * top_k)
    for row in range(4):
        expected = by_hand(pairs(warm, row), pairs(cold, row), top_k, most)
        assert found.items[row].tolist() == expected
    assert ((found.items >= FIRST_COLD).sum(axis=1) <= most).all()


def test_no_share_is_the_warm_ranking():
    warm, cold = lists_of(1, 0, 5, 8, 8), lists_of(2, FIRST_COLD, 5, 8, 8)
    found = WarmAndCold(warm, cold).limited(8, 0.0)
    assert found.items.tolist() == warm.items.tolist()
    assert found.logp.tolist() == warm.logp.tolist()


def test_without_cold_items_nothing_changes():
    warm = lists_of(1, 0, 5, 8, 8)
    found = WarmAndCold(warm, Recommendations.empty(5, 0)).limited(8, 1.0)
    assert found.items.tolist() == warm.items.tolist()


@pytest.mark.parametrize(("top_k", "epsilon", "most"), [(100, 0.29, 29), (5, 0.1, 0), (3, 1, 3)])
def test_the_most_is_the_floor(top_k: int, epsilon: float, most: int):
    assert most_cold_items(top_k, epsilon) == most


@pytest.mark.parametrize("epsilon", [-0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(epsilon: float):
    with pytest.raises(ConfigurationError, match="epsilon"):
        most_cold_items(10, epsilon)
