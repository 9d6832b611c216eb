import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.quantization.row_hash import hash_rows, hash_weights, mix64

MASK = 2**64 - 1


def splitmix_finalizer(value: int) -> int:
    """The published algorithm, on Python integers."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


@given(st.integers(0, MASK))
@settings(max_examples=50, deadline=None)
def test_mix64_is_the_finalizer_of_splitmix64(value):
    assert int(mix64(np.array([value], dtype=np.uint64))[0]) == splitmix_finalizer(value)


def test_only_equal_rows_share_a_hash():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(500, 6)).astype(np.float32)
    hashes = hash_rows(np.concatenate([vectors, vectors[::-1]]), hash_weights(6, seed=1))
    assert len(set(hashes.tolist())) == 500
    np.testing.assert_array_equal(hashes[:500], hashes[500:][::-1])


def test_rows_that_differ_in_signs_only_are_told_apart():
    signs = 1 - 2 * ((np.arange(2**14)[:, None] >> np.arange(14)) & 1).astype(np.float32)
    assert len(np.unique(hash_rows(signs, hash_weights(14, seed=0)))) == 2**14


def test_negative_zero_is_zero():
    weights = hash_weights(2, seed=0)
    positive, negative = np.float32([[0.0, 1.0]]), np.float32([[-0.0, 1.0]])
    assert hash_rows(positive, weights) == hash_rows(negative, weights)


def test_seeds_give_different_hashes():
    row = np.float32([[1.0, 2.0]])
    assert hash_rows(row, hash_weights(2, seed=0)) != hash_rows(row, hash_weights(2, seed=1))
