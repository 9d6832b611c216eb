import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.quantization.nearest import (
    nearest_codewords,
    priced_codewords,
    squared_distances,
)
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances


@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=30, deadline=None)
def test_is_the_exact_nearest(seed, codewords, scale):
    generator = np.random.default_rng(seed)
    vectors = (scale * generator.normal(size=(40, 5))).astype(np.float32)
    codebook = (scale * generator.normal(size=(codewords, 5))).astype(np.float32)
    expected = all_squared_distances(vectors, codebook).argmin(axis=1)
    np.testing.assert_array_equal(nearest_codewords(vectors, codebook), expected)


def test_of_equally_near_codewords_the_first_is_taken():
    codebook = np.float32([[1, 0], [-1, 0], [0, 1], [0, -1]])
    assert nearest_codewords(np.zeros((3, 2), np.float32), codebook).tolist() == [0, 0, 0]


def test_near_ties_do_not_depend_on_the_batch():
    generator = np.random.default_rng(0)
    middle = generator.normal(size=(600, 64)).astype(np.float32)
    offsets = 1e-3 * generator.normal(size=(1, 64))
    codebook = (middle[:1] + np.concatenate([offsets, -offsets])).astype(np.float32)
    vectors = (middle[:1] + 1e-9 * middle).astype(np.float32)
    together = nearest_codewords(vectors, codebook)
    alone = np.concatenate([nearest_codewords(row[None], codebook) for row in vectors])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, all_squared_distances(vectors, codebook).argmin(axis=1))


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_price_is_added_to_the_squared_distance(seed):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(200, 6)).astype(np.float32)
    codebook = generator.normal(size=(9, 6)).astype(np.float32)
    prices = generator.normal(size=9).astype(np.float32)
    expected = (all_squared_distances(vectors, codebook) + prices).argmin(axis=1)
    np.testing.assert_array_equal(priced_codewords(vectors, codebook, prices), expected)


def test_squared_distances_of_close_vectors_do_not_cancel():
    vectors, others = np.float32([[10000.0, 3.0]]), np.float32([[10000.001, 3.0]])
    # The float32 next to 10000 is 2^-10 away: all that "10000.001" can be.
    assert squared_distances(vectors, others).tolist() == [2.0**-20]
