import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.evaluation.repeats import MeanOfRepeats, group_repeats, mean_of_repeats


def test_the_order_of_keys_does_not_tell_runs_apart():
    groups = group_repeats({"a": {"x": 1, "y": [2]}, "b": {"y": [2], "x": 1}})
    assert groups == {"a": ["a", "b"]}


def test_any_difference_tells_runs_apart():
    groups = group_repeats({"a": {"x": {"y": 1}}, "b": {"x": {"y": 2}}, "c": {"x": {}}})
    assert groups == {"a": ["a"], "b": ["b"], "c": ["c"]}


def test_repeats_without_the_run_that_they_repeat_are_named_by_the_first():
    groups = group_repeats({"a_seed_10": {}, "a_seed_2": {}})
    assert groups == {"a_seed_2": ["a_seed_2", "a_seed_10"]}


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_mean_and_deviation_are_those_of_the_standard_library(values: list[float]):
    found = mean_of_repeats(values)
    assert found.mean == pytest.approx(statistics.mean(values), abs=1e-9)
    assert found.deviation == pytest.approx(statistics.stdev(values), abs=1e-9)


def test_one_value_has_no_spread_and_none_no_mean():
    assert mean_of_repeats([0.5]) == MeanOfRepeats(0.5, None)
    assert mean_of_repeats([None, None]) == MeanOfRepeats(None, None)
