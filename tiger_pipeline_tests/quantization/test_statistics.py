import json
import math
from collections import Counter

import numpy as np
import pytest

from tiger_pipeline.errors import InputError
from tiger_pipeline.quantization.config import RandomConfig, ResidualKMeansConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline.quantization.statistics import code_statistics, collision_statistics
from tiger_pipeline_tests.quantization.synthetic import blobs

VECTORS = blobs(300, 6, centers=12, seed=0)


def test_perplexity_by_hand():
    # Shares 1/2, 1/4, 1/4 have an entropy of 1.5 bits, so the perplexity is 2^1.5.
    quantizer = fit_quantizer(RandomConfig(levels=1, codewords=4), VECTORS)
    level = code_statistics(quantizer, VECTORS[:4], np.int32([[0], [0], [1], [3]]))["levels"][0]
    assert level["perplexity"] == pytest.approx(2**1.5)
    assert (level["codewords"], level["used"], level["utilization"]) == (4, 3, 0.75)


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_errors_by_brute_force(normalize):
    config = ResidualKMeansConfig(levels=3, codewords=7, iterations=5, normalize=normalize)
    quantizer = fit_quantizer(config, VECTORS)
    codes = quantizer.assign(VECTORS)
    statistics = code_statistics(quantizer, VECTORS, codes)
    inputs = VECTORS.astype(np.float64)
    if normalize == "l2":
        inputs = np.stack([row / math.sqrt(sum(row**2)) for row in inputs])
    variance = np.mean([sum((row - inputs.mean(axis=0)) ** 2) for row in inputs])
    residuals = inputs
    for level in statistics["levels"]:
        codebook = quantizer.tensors()[f"codebook_{level['level']}"]
        residuals = residuals - codebook[codes[:, level["level"]]]
        error = np.mean([sum(row**2) for row in residuals])
        assert level["reconstruction_mse"] == pytest.approx(error, rel=1e-4)
        assert level["relative_reconstruction_error"] == pytest.approx(error / variance, rel=1e-4)


def test_random_codes_leave_all_of_the_variance():
    quantizer = fit_quantizer(RandomConfig(levels=2, codewords=8), VECTORS)
    for level in code_statistics(quantizer, VECTORS, quantizer.assign(VECTORS))["levels"]:
        assert level["relative_reconstruction_error"] == pytest.approx(1, rel=1e-5)


def test_counts_and_schema():
    quantizer = fit_quantizer(ResidualKMeansConfig(levels=2, codewords=5), VECTORS)
    codes = quantizer.assign(VECTORS)
    statistics = code_statistics(quantizer, VECTORS, codes)
    assert json.loads(json.dumps(statistics, allow_nan=False)) == statistics
    assert list(statistics) == ["levels", "code_counts", "collisions"]
    assert list(statistics["levels"][1]) == [
        "level",
        "codewords",
        "used",
        "utilization",
        "perplexity",
        "reconstruction_mse",
        "relative_reconstruction_error",
    ]
    for level, counts in enumerate(statistics["code_counts"]):
        counted = Counter(codes[:, level].tolist())
        assert counts == [counted[code] for code in range(5)]


def test_collisions_by_counting():
    codes = np.random.default_rng(0).integers(0, 4, size=(200, 3)).astype(np.int32)
    groups = Counter(map(tuple, codes.tolist()))
    colliding = sum(size for size in groups.values() if size > 1)
    assert collision_statistics(codes) == {
        "items": 200,
        "unique_tuples": len(groups),
        "colliding_items": colliding,
        "collision_rate": colliding / 200,
        "largest_group": max(groups.values()),
        "suffix_tokens": max(groups.values()),
    }


def test_without_collisions_there_are_no_suffix_tokens():
    statistics = collision_statistics(np.int32([[0, 1], [1, 0], [1, 1]]))
    assert (statistics["colliding_items"], statistics["largest_group"]) == (0, 1)
    assert statistics["suffix_tokens"] == 0


def test_vectors_without_variance_have_no_relative_error():
    quantizer = fit_quantizer(ResidualKMeansConfig(levels=1, codewords=5), VECTORS)
    one = VECTORS[:1]
    level = code_statistics(quantizer, one, quantizer.assign(one))["levels"][0]
    assert level["relative_reconstruction_error"] is None
    same = fit_quantizer(RandomConfig(levels=1), np.ones((3, 2), np.float32))
    level = code_statistics(same, np.ones((3, 2), np.float32), np.zeros((3, 1), np.int32))
    assert level["levels"][0]["relative_reconstruction_error"] == 0


def test_codes_must_belong_to_the_vectors():
    quantizer = fit_quantizer(RandomConfig(levels=2, codewords=8), VECTORS)
    with pytest.raises(InputError, match=r"shape \(300, 2\); these have \(10, 2\)"):
        code_statistics(quantizer, VECTORS, np.zeros((10, 2), np.int32))
    with pytest.raises(InputError, match="at least one vector"):
        code_statistics(quantizer, VECTORS[:0], np.zeros((0, 2), np.int32))
