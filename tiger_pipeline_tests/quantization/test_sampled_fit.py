"""Codebooks of a catalog that is too large to be fitted on as a whole."""

import numpy as np
import pytest

from tiger_pipeline.quantization.config import (
    BalancedResidualKMeansConfig,
    ProductKMeansConfig,
    ResidualKMeansConfig,
)
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline.quantization.vectors import sample_vectors
from tiger_pipeline_tests.quantization.synthetic import blobs

VECTORS = blobs(3000, 8, centers=30, seed=0)
CONFIGS = [
    ResidualKMeansConfig(levels=2, codewords=8, items_per_codeword=100, seed=3),
    BalancedResidualKMeansConfig(levels=2, codewords=8, items_per_codeword=100, iterations=3),
    ProductKMeansConfig(levels=2, codewords=8, items_per_codeword=100, seed=3),
]


def squared_error(config: ResidualKMeansConfig) -> float:
    quantizer = fit_quantizer(config, VECTORS)
    described = quantizer.reconstruct(quantizer.assign(VECTORS))
    return float(np.square(quantizer.prepare(VECTORS) - described).sum())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_large_catalog_is_fitted_on_its_sample(config):
    fitted = fit_quantizer(config, VECTORS).tensors()
    on_sample = fit_quantizer(config, sample_vectors(VECTORS, 800, config.seed)).tensors()
    assert fitted.keys() == on_sample.keys()
    for name, tensor in fitted.items():
        np.testing.assert_array_equal(tensor, on_sample[name])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_catalog_within_the_limit_is_fitted_on_as_a_whole(config):
    whole, limited = (
        fit_quantizer(config.model_copy(update={"items_per_codeword": limit}), VECTORS).tensors()
        for limit in (10**9, 375)
    )
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor, limited[name])


def test_a_sample_describes_the_catalog_nearly_as_well():
    config = CONFIGS[0]
    of_all = squared_error(config.model_copy(update={"items_per_codeword": 10**9}))
    assert squared_error(config) < 1.1 * of_all
