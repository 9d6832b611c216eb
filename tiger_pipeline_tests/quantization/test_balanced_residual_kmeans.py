import numpy as np
import pytest

from tiger_pipeline.errors import ArtifactError, ConfigurationError, InputError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.balanced_residual_kmeans import BalancedResidualKMeans
from tiger_pipeline.quantization.config import BalancedResidualKMeansConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs

VECTORS = blobs(700, 8, centers=20, seed=0, spread=0.4)
CONFIG = BalancedResidualKMeansConfig(levels=3, codewords=16, iterations=10)


@pytest.mark.parametrize("initialization", ["random", "points", "k-means++"])
def test_every_level_is_used_evenly(initialization):
    config = CONFIG.model_copy(update={"initialization": initialization})
    codes = fit_quantizer(config, VECTORS).assign(VECTORS)
    for level in codes.T:
        assert np.bincount(level, minlength=16).max() <= 1.05 * 700 / 16


def test_codes_are_the_cheapest_codewords_level_by_level():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    residuals = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    tensors = quantizer.tensors()
    for level, codes in enumerate(quantizer.assign(VECTORS).T):
        codebook = tensors[f"codebook_{level}"]
        costs = all_squared_distances(residuals, codebook) + tensors[f"prices_{level}"]
        np.testing.assert_array_equal(costs.argmin(axis=1), codes)
        residuals = residuals - codebook[codes]
    by_hand = sum(
        quantizer.codebooks[level][quantizer.assign(VECTORS)[:, level]] for level in (0, 1)
    )
    np.testing.assert_allclose(
        quantizer.reconstruct(quantizer.assign(VECTORS)[:, :2]), by_hand, rtol=1e-6
    )


def test_codes_depend_on_the_vector_alone():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    alone = np.concatenate([quantizer.assign(row[None]) for row in VECTORS])
    np.testing.assert_array_equal(alone, quantizer.assign(VECTORS))


def test_the_seed_decides():
    first, again, other = (
        fit_quantizer(CONFIG.model_copy(update={"seed": seed}), VECTORS).tensors()
        for seed in (0, 0, 1)
    )
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["codebook_0"], other["codebook_0"])


class Notes(NoProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def note(self, message: str) -> None:
        self.messages.append(message)


def test_equal_vectors_that_cannot_be_spread_are_reported():
    crowded = np.concatenate([np.tile(VECTORS[:1], (200, 1)), VECTORS[:500]])
    notes = Notes()
    codes = fit_quantizer(CONFIG, crowded, notes).assign(crowded)
    assert np.bincount(codes[:, 0]).max() >= 200
    assert np.bincount(codes[200:, 0], minlength=16).max() <= 50
    assert "Level 0 is not as even as `balance` 1.05 asks" in notes.messages[0]
    assert "where 45 are allowed" in notes.messages[0]
    even = Notes()
    fit_quantizer(CONFIG, VECTORS, even)
    assert even.messages == []


def test_bad_vectors_are_refused():
    with pytest.raises(ConfigurationError, match="only 3 distinct embeddings for 16 codewords"):
        fit_quantizer(CONFIG, np.tile(VECTORS[:3], (10, 1)))
    with pytest.raises(InputError, match="no embeddings"):
        fit_quantizer(CONFIG, VECTORS[:0])


def test_missing_prices_are_named():
    tensors = fit_quantizer(CONFIG, VECTORS).tensors()
    del tensors["prices_1"]
    with pytest.raises(ArtifactError, match="prices of level 1"):
        BalancedResidualKMeans.from_tensors(CONFIG, tensors)
