import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct,
    check_vectors,
    check_vectors_to_fit,
    count_distinct,
    normalize_rows,
    row_blocks,
    sample_vectors,
)


def test_blocks_cover_all_rows_once():
    rows = [row for block in row_blocks(10, 4) for row in range(block.start, block.stop)]
    assert rows == list(range(10))
    assert list(row_blocks(0)) == []


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros(3, np.float32), r"one row an item; this array has shape \(3,\)"),
        (np.zeros((3, 0), np.float32), r"shape \(3, 0\)"),
        (np.zeros((3, 2)), "must be float32, not float64"),
        (np.zeros((3, 5), np.float32), "have 5 dimensions, but the quantizer was fitted on 2"),
    ],
)
def test_refuses_what_is_no_matrix_of_embeddings(vectors, message):
    with pytest.raises(InputError, match=message):
        check_vectors(vectors, dimension=2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 16383, 16384, 20000])
def test_names_the_row_that_is_not_finite(value, row):
    vectors = np.zeros((20001, 2), np.float32)
    vectors[row, 1] = value
    with pytest.raises(InputError, match=rf"row {row} contains NaN or infinity"):
        check_vectors(vectors)


def test_no_rows_are_fine_to_assign_but_not_to_fit_on():
    check_vectors(np.zeros((0, 2), np.float32))
    with pytest.raises(InputError, match="no embeddings to fit"):
        check_vectors_to_fit(np.zeros((0, 2), np.float32))


def test_counts_distinct_rows_across_blocks_up_to_the_limit():
    vectors = np.repeat(np.arange(7, dtype=np.float32)[:, None], 1000, axis=0)
    assert count_distinct(vectors, limit=100) == 7
    assert count_distinct(vectors, limit=5) == 5


def test_too_few_distinct_vectors_say_what_to_lower():
    vectors = np.float32([[1], [1], [2]])
    check_enough_distinct(vectors, 2, level=0)
    with pytest.raises(ConfigurationError, match=r"only 2 distinct.*Lower `codewords` to 2"):
        check_enough_distinct(vectors, 3, level=0)
    with pytest.raises(ConfigurationError, match=r"At level 1 only 2.*Lower `levels` to 1"):
        check_enough_distinct(vectors, 3, level=1)


def test_normalized_rows_have_unit_length_and_zero_stays_zero():
    rows = normalize_rows(np.float32([[3, 4], [0, 0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert rows.dtype == np.float32


@given(n=st.integers(1, 60), most=st.integers(1, 60), seed=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_a_sample_is_rows_in_their_order_without_repetition(n, most, seed):
    vectors = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    sample = sample_vectors(vectors, most, seed)
    assert len(sample) == min(n, most)
    rows = (sample[:, 0] / 2).astype(int)
    np.testing.assert_array_equal(sample, vectors[rows])
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(sample, sample_vectors(vectors, most, seed))


def test_every_vector_is_sampled_equally_often():
    vectors = np.arange(10, dtype=np.float32)[:, None]
    drawn = np.concatenate([sample_vectors(vectors, 3, seed)[:, 0] for seed in range(2000)])
    counts = np.bincount(drawn.astype(int), minlength=10)
    # 600 each, with a standard deviation of √(2000 · 0.3 · 0.7) = 20.5.
    assert (np.abs(counts - 600) < 5 * 20.5).all()
