import numpy as np
import pytest
from scipy.stats import chisquare

from tiger_pipeline.errors import InputError
from tiger_pipeline.quantization.config import RandomConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer


def vectors(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 7)).astype(np.float32)


def test_codes_are_uniform_and_levels_independent():
    codes = fit_quantizer(RandomConfig(levels=2, codewords=10), vectors(5)).assign(vectors(20000))
    for level in range(2):
        assert chisquare(np.bincount(codes[:, level], minlength=10)).pvalue > 1e-4
    pairs = codes[:, 0] * 10 + codes[:, 1]
    assert chisquare(np.bincount(pairs, minlength=100)).pvalue > 1e-4


@pytest.mark.parametrize("codewords", [2, 3, 256, 65536])
def test_codes_are_within_range(codewords):
    codes = fit_quantizer(RandomConfig(codewords=codewords), vectors(5)).assign(vectors(3000))
    assert codes.dtype == np.int32
    assert codes.shape == (3000, 3)
    assert codes.min() >= 0
    assert codes.max() < codewords


def test_codes_depend_on_the_vector_alone():
    quantizer = fit_quantizer(RandomConfig(), vectors(5))
    data = vectors(40000)
    codes = quantizer.assign(data)
    np.testing.assert_array_equal(quantizer.assign(data[39990:]), codes[39990:])
    np.testing.assert_array_equal(quantizer.assign(data[::-1]), codes[::-1])
    np.testing.assert_array_equal(quantizer.assign(np.repeat(data[:1], 3, axis=0)), codes[[0] * 3])


def test_the_seed_decides():
    first, again, other = (
        fit_quantizer(RandomConfig(seed=seed), vectors(5)).assign(vectors(50)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_every_vector_is_reconstructed_as_the_mean():
    data = vectors(30)
    quantizer = fit_quantizer(RandomConfig(levels=2, codewords=4), data)
    expected = np.tile(data.mean(axis=0), (30, 1))
    for levels in (1, 2):
        reconstruction = quantizer.reconstruct(quantizer.assign(data)[:, :levels])
        np.testing.assert_allclose(reconstruction, expected, atol=1e-6)


def test_refuses_vectors_of_another_encoder():
    quantizer = fit_quantizer(RandomConfig(), vectors(5))
    with pytest.raises(InputError, match="8 dimensions"):
        quantizer.assign(np.zeros((2, 8), np.float32))
