import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from tiger_pipeline.evaluation import metrics, seen_items
from tiger_pipeline.evaluation.metrics import hit_rate, ndcg, ndcg_per_user, target_ranks


@pytest.mark.parametrize("module", [metrics, seen_items])
def test_docstrings_hold(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_by_hand():
    # Targets at ranks 1, 2, 4 and nowhere.
    recommended = np.array([[5, 1, 2, 3], [1, 5, 2, 3], [1, 2, 3, 5], [1, 2, 3, -1]])
    ranks = target_ranks(recommended, np.array([5, 5, 5, 5]))
    assert ranks.tolist() == [1, 2, 4, 0]
    assert hit_rate(ranks, 1) == 1 / 4
    assert hit_rate(ranks, 2) == 2 / 4
    assert hit_rate(ranks, 4) == 3 / 4
    assert ndcg(ranks, 1) == pytest.approx(1 / 4)
    assert ndcg(ranks, 2) == pytest.approx((1 + 1 / math.log2(3)) / 4)
    assert ndcg(ranks, 4) == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(5)) / 4)


def test_empty_lists_hit_nothing():
    assert target_ranks(np.empty((3, 0), np.int32), np.array([0, 1, 2])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("k", [1, 3, 10, 30])
def test_ndcg_equals_that_of_scikit_learn(k):
    n_users, n_items = 40, 30
    generator = np.random.default_rng(3)
    scores = generator.permuted(np.tile(np.arange(n_items, dtype=float), (n_users, 1)), axis=1)
    targets = generator.integers(n_items, size=n_users)
    relevance = np.zeros((n_users, n_items))
    relevance[np.arange(n_users), targets] = 1
    ranks = target_ranks(np.argsort(-scores, axis=1), targets)
    assert ndcg(ranks, k) == pytest.approx(ndcg_score(relevance, scores, k=k))


_RANKS = st.lists(st.integers(0, 50), min_size=1, max_size=30).map(np.array)


@settings(max_examples=60, deadline=None)
@given(ranks=_RANKS, k=st.integers(1, 60), seed=st.integers(0, 9))
def test_bounds_monotony_and_order_of_users(ranks, k, seed):
    assert 0 <= ndcg(ranks, k) <= hit_rate(ranks, k) <= 1
    assert hit_rate(ranks, k) <= hit_rate(ranks, k + 1)
    assert ndcg(ranks, k) <= ndcg(ranks, k + 1)
    assert ndcg(ranks, 1) == hit_rate(ranks, 1)
    shuffled = np.random.default_rng(seed).permutation(ranks)
    assert ndcg(shuffled, k) == pytest.approx(ndcg(ranks, k))
    assert hit_rate(shuffled, k) == pytest.approx(hit_rate(ranks, k))


@settings(max_examples=40, deadline=None)
@given(rank=st.integers(1, 49))
def test_a_better_rank_is_never_worth_less(rank):
    better, worse = ndcg_per_user(np.array([rank, rank + 1]), 50)
    assert better > worse > 0
