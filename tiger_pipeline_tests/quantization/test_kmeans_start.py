import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization.config import (
    BalancedResidualKMeansConfig,
    ProductKMeansConfig,
    ResidualKMeansConfig,
)
from tiger_pipeline.quantization.kmeans_start import KMeansStart
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline_tests.quantization.synthetic import blobs

VECTORS = blobs(120, 5, centers=9, seed=0)
CONFIGS = [
    ResidualKMeansConfig(levels=2, codewords=4),
    BalancedResidualKMeansConfig(levels=2, codewords=4, iterations=2),
    ProductKMeansConfig(levels=2, codewords=4),
]


def save(folder, **tensors) -> str:
    path = folder / "start.safetensors"
    save_file(tensors, path)
    return str(path)


def test_given_codebooks_are_what_levels_start_from(tmp_path):
    first, second = VECTORS[:4].copy(), VECTORS[4:8].astype(np.float64)
    path = save(tmp_path, codebook_0=first, codebook_1=second, prices_0=first[0])
    config = CONFIGS[0].model_copy(update={"initial_codebooks": path})
    start = KMeansStart.read(config, 4, [5, 5])
    generator = np.random.default_rng(0)
    np.testing.assert_array_equal(start.centroids(0, VECTORS, generator), first)
    assert start.centroids(1, VECTORS, generator).dtype == np.float32


@pytest.mark.parametrize("config", CONFIGS, ids=["residual", "balanced", "product"])
def test_every_kind_can_start_from_fitted_codebooks_and_then_no_seed_matters(config, tmp_path):
    def fit(seed: int, path: str | None) -> dict[str, np.ndarray]:
        update = {"seed": seed, "initial_codebooks": path}
        return fit_quantizer(config.model_copy(update=update), VECTORS).tensors()

    path = save(tmp_path, **fit(0, None))
    one, other = fit(1, path), fit(2, path)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(fit(1, None)["codebook_0"], fit(2, None)["codebook_0"])


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"codebook_0": VECTORS[:4]}, "has no tensor codebook_1 (it has codebook_0)"),
        (
            {"codebook_0": VECTORS[:4], "codebook_1": VECTORS[:4, :3].copy()},
            "codebook_1 in .* is float32[4, 3], but .* need 4 codewords of 5 floating-point",
        ),
        ({"codebook_0": VECTORS[:3], "codebook_1": VECTORS[:4]}, "codebook_0 in .* float32[3, 5]"),
        ({"codebook_0": np.ones((4, 5), np.int64)}, "codebook_0 in .* is int64[4, 5]"),
        ({"codebook_0": np.full((4, 5), np.nan, np.float32)}, "contains NaN or infinity"),
    ],
)
def test_codebooks_that_do_not_fit_are_refused(tensors, message, tmp_path):
    config = CONFIGS[0].model_copy(update={"initial_codebooks": save(tmp_path, **tensors)})
    expected = re.escape(message).replace(re.escape(".*"), ".*")
    with pytest.raises(ConfigurationError, match=expected):
        fit_quantizer(config, VECTORS)


def test_a_file_that_is_missing_or_no_safetensors_is_named(tmp_path):
    path = tmp_path / "start.safetensors"
    config = CONFIGS[0].model_copy(update={"initial_codebooks": str(path)})
    with pytest.raises(ConfigurationError, match=r"start\.safetensors do not exist"):
        fit_quantizer(config, VECTORS)
    path.write_text("no tensors")
    with pytest.raises(ConfigurationError, match="not a readable safetensors file"):
        fit_quantizer(config, VECTORS)
