import re

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from tiger_pipeline.quantization.config import ResidualKMeansConfig
from tiger_pipeline.quantization.drift import (
    CodebookFit,
    code_shift,
    error_percentiles,
    jensen_shannon,
    measure_fit,
    squared_errors,
)
from tiger_pipeline.quantization.drift_config import CodebookDriftConfig
from tiger_pipeline.quantization.quantizer import Quantizer, fit_quantizer
from tiger_pipeline.quantization.statistics import code_statistics

CENTERS = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)


def items(n: int, seed: int, centers: np.ndarray = CENTERS) -> np.ndarray:
    generator = np.random.default_rng(seed)
    chosen = centers[generator.integers(len(centers), size=n)]
    return (chosen + generator.normal(scale=0.2, size=chosen.shape)).astype(np.float32)


FITTED = items(1000, seed=1)


@pytest.fixture(scope="module")
def quantizer() -> Quantizer:
    return fit_quantizer(ResidualKMeansConfig(levels=2, codewords=12, normalize="none"), FITTED)


def fit_of(quantizer: Quantizer, new: np.ndarray) -> CodebookFit:
    fitted_codes, codes = quantizer.assign(FITTED), quantizer.assign(new)
    statistics = code_statistics(quantizer, FITTED, fitted_codes)
    taken = set(map(tuple, fitted_codes.tolist()))
    return measure_fit(
        squared_errors(quantizer, new, codes),
        codes,
        np.array([tuple(row) in taken for row in codes.tolist()]),
        error_percentiles(quantizer, FITTED, fitted_codes),
        statistics["code_counts"],
        statistics["collisions"]["collision_rate"],
    )


def test_divergence_is_that_of_scipy():
    generator = np.random.default_rng(0)
    left, right = generator.integers(0, 5, size=(2, 40))
    assert jensen_shannon(left, right) == pytest.approx(jensenshannon(left, right, base=2) ** 2)
    assert jensen_shannon(np.array([3, 0]), np.array([0, 9])) == pytest.approx(1)
    assert jensen_shannon(left, 3 * left) == pytest.approx(0, abs=1e-12)


def test_errors_are_the_distances_to_the_reconstruction(quantizer: Quantizer):
    codes = quantizer.assign(FITTED)
    expected = [
        sum((vector - reconstruction) ** 2)
        for vector, reconstruction in zip(
            FITTED.astype(np.float64), quantizer.reconstruct(codes), strict=True
        )
    ]
    np.testing.assert_allclose(squared_errors(quantizer, FITTED, codes), expected, rtol=1e-4)
    percentiles = error_percentiles(quantizer, FITTED, codes)
    assert len(percentiles) == 101
    assert (percentiles[0], percentiles[100]) == pytest.approx((min(expected), max(expected)))


def test_few_fitted_items_say_nothing_about_errors(quantizer: Quantizer):
    few = FITTED[:200]
    assert error_percentiles(quantizer, few, quantizer.assign(few)) == []


def test_items_of_the_same_kind_are_no_problem(quantizer: Quantizer):
    fit = fit_of(quantizer, items(400, seed=2))
    assert fit.large_errors == pytest.approx(0.05, abs=0.05)
    assert fit.collisions == pytest.approx(fit.expected_collisions, abs=0.1)
    assert max(fit.code_shift) < 0.03
    assert fit.problems(CodebookDriftConfig()) == []


def test_items_of_another_kind_are_described_worse_and_by_other_codewords(quantizer: Quantizer):
    other = np.random.default_rng(9).normal(scale=3, size=(3, 6)).astype(np.float32)
    problems = fit_of(quantizer, items(400, seed=3, centers=other)).problems(CodebookDriftConfig())
    assert "larger reconstruction error than 95%" in problems[0]
    assert "Jensen–Shannon" in problems[-1]


def test_chance_is_not_taken_for_a_shift():
    """Forty items on 256 codewords look very uneven, whatever they are."""
    generator = np.random.default_rng(0)
    fitted = generator.integers(1, 90, size=256)
    new = generator.multinomial(40, fitted / fitted.sum())
    assert jensen_shannon(new, fitted) > 0.4
    assert code_shift(new, fitted, generator) < 0.05


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        (CodebookFit(30, 0.21, 0, 0, (0.0,)), "21% of 30 cold items have a larger"),
        (CodebookFit(30, None, 0.5, 0.29, (0.0,)), "50% of 30 cold items got codes"),
        (CodebookFit(30, 0.0, 0, 0, (0.0, 0.11)), "codewords of level 1 .* 0.11 bits"),
    ],
)
def test_each_limit_is_its_own(fit: CodebookFit, sentence: str):
    (problem,) = fit.problems(CodebookDriftConfig())
    assert re.search(sentence, problem)
    assert fit.problems(CodebookDriftConfig(min_items=31)) == []
    loose = CodebookDriftConfig(max_large_errors=1, max_extra_collisions=1, max_code_shift=1)
    assert fit.problems(loose) == []
