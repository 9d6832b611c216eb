"""A 64-bit hash of each row of a matrix, without a Python loop over rows."""

import numpy as np

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def hash_weights(dimension: int, seed: int) -> np.ndarray:
    """uint64[dimension + 1], the random odd multipliers of `hash_rows`."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2**64, size=dimension + 1, dtype=np.uint64) | np.uint64(1)


def mix64(values: np.ndarray) -> np.ndarray:
    """Scramble uint64 values so that every input bit moves every output bit.

    The finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", 2014).
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def hash_rows(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Hash the bytes of each row; equal rows, and only by chance others, share a hash.

    Each scrambled 32-bit word is multiplied by a weight of its own and the products are summed
    modulo 2^64 (multilinear hashing).

    Args:
        vectors: float32[n, d]; −0.0 counts as 0.0.
        weights: uint64[d + 1] from `hash_weights`.

    Returns:
        uint64[n].
    """
    positive_zeros = np.ascontiguousarray(vectors) + np.float32(0)
    words = positive_zeros.view(np.uint32).astype(np.uint64)
    words *= _GOLDEN_GAMMA
    words ^= words >> np.uint64(32)
    return mix64(np.einsum("ij,j->i", words, weights[:-1]) + weights[-1])
