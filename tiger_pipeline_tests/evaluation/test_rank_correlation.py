import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tiger_pipeline.evaluation.rank_correlation import RankCorrelation, rank_correlation

COLUMNS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=9)


@given(COLUMNS)
@settings(max_examples=40, deadline=None)
def test_it_is_the_correlation_of_scipy(rows: list[tuple[int, int]]):
    x, y = zip(*rows, strict=True)
    found = rank_correlation(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found == RankCorrelation(None, None, len(rows))
    else:
        assert found.rho == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)


def test_the_p_value_is_that_of_all_pairings():
    x, y = [1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]
    rho = spearmanr(x, y).statistic
    every = [spearmanr(x, pairing).statistic for pairing in itertools.permutations(y)]
    exact = np.mean(np.abs(every) >= rho - 1e-9)
    assert rank_correlation(x, y).p_value == pytest.approx(exact, abs=0.01)


def test_two_rows_have_no_correlation():
    assert rank_correlation([1, 2], [1, 2]) == RankCorrelation(None, None, 2)
