import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from sklearn.cluster import KMeans

from tiger_pipeline.errors import ArtifactError, ConfigurationError, InputError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.config import BalancedResidualKMeansConfig, ResidualKMeansConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline.quantization.residual_kmeans import ResidualKMeans
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs

VECTORS = blobs(500, 8, centers=30, seed=0, spread=0.4)
CONFIG = ResidualKMeansConfig(levels=3, codewords=12, iterations=20)
CROWD = blobs(700, 8, centers=20, seed=0, spread=0.4)
BALANCED = BalancedResidualKMeansConfig(levels=3, codewords=16, iterations=10)
both_kinds = pytest.mark.parametrize("config", [CONFIG, BALANCED], ids=["plain", "balanced"])


def test_codes_are_those_of_a_greedy_search_level_by_level():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    residuals = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    for level, codes in enumerate(quantizer.assign(VECTORS).T):
        codebook = quantizer.tensors()[f"codebook_{level}"]
        np.testing.assert_array_equal(all_squared_distances(residuals, codebook).argmin(1), codes)
        residuals = residuals - codebook[codes]


def test_first_level_is_as_good_as_scikit_learns():
    config = CONFIG.model_copy(
        update={"levels": 1, "normalize": "none", "initialization": "k-means++", "tolerance": 0.0}
    )
    ours = [
        all_squared_distances(
            VECTORS,
            fit_quantizer(config.model_copy(update={"seed": seed}), VECTORS).tensors()[
                "codebook_0"
            ],
        )
        .min(axis=1)
        .sum()
        for seed in range(4)
    ]
    theirs = [
        KMeans(12, n_init=1, max_iter=20, random_state=seed).fit(VECTORS).inertia_
        for seed in range(4)
    ]
    assert np.mean(ours) <= 1.05 * np.mean(theirs)


def test_reconstruction_is_the_sum_of_codewords_and_improves_with_each_level():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    codes = quantizer.assign(VECTORS)
    codebooks = quantizer.tensors()
    by_hand = sum(codebooks[f"codebook_{level}"][codes[7, level]] for level in range(3))
    np.testing.assert_allclose(quantizer.reconstruct(codes)[7], by_hand, rtol=1e-6)
    target = quantizer.prepare(VECTORS)
    errors = [
        np.square(target - quantizer.reconstruct(codes[:, :levels])).sum() for levels in (1, 2, 3)
    ]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("initialization", ["random", "points", "k-means++"])
@pytest.mark.parametrize("iterations", [1, 8])
def test_every_codeword_is_used(initialization, iterations):
    config = CONFIG.model_copy(
        update={"initialization": initialization, "iterations": iterations, "codewords": 40}
    )
    codes = fit_quantizer(config, VECTORS).assign(VECTORS)
    assert [len(np.unique(level)) for level in codes.T] == [40, 40, 40]


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(0, 30))
@settings(max_examples=25, deadline=None)
def test_every_codeword_is_used_with_as_many_codewords_as_distinct_vectors(seed, distinct, copies):
    generator = np.random.default_rng(seed)
    values = np.arange(2 * distinct, dtype=np.float32).reshape(distinct, 2)
    data = np.concatenate([values, values[generator.integers(distinct, size=copies)]])
    config = ResidualKMeansConfig(
        levels=1, codewords=distinct, initialization="random", normalize="none", seed=seed
    )
    codes = fit_quantizer(config, data).assign(data)
    assert len(np.unique(codes)) == distinct


@both_kinds
def test_codes_depend_on_the_vector_alone(config):
    quantizer = fit_quantizer(config, VECTORS)
    codes = quantizer.assign(VECTORS)
    alone = np.concatenate([quantizer.assign(row[None]) for row in VECTORS])
    np.testing.assert_array_equal(alone, codes)
    assert quantizer.assign(VECTORS[:0]).shape == (0, 3)


def test_l2_normalization_makes_codes_independent_of_length():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    np.testing.assert_array_equal(quantizer.assign(4 * VECTORS), quantizer.assign(VECTORS))
    unnormalized = fit_quantizer(CONFIG.model_copy(update={"normalize": "none"}), VECTORS)
    assert (unnormalized.assign(4 * VECTORS) != unnormalized.assign(VECTORS)).any()
    np.testing.assert_array_equal(unnormalized.prepare(VECTORS), VECTORS)


@both_kinds
def test_the_seed_decides_and_the_input_is_left_alone(config):
    before = VECTORS.copy()
    first, again, other = (
        fit_quantizer(config.model_copy(update={"seed": seed}), VECTORS).tensors()
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(VECTORS, before)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["codebook_0"], other["codebook_0"])


def test_bad_vectors_are_refused_with_what_to_change():
    for config in (CONFIG, BALANCED):
        message = f"only 3 distinct embeddings for {config.codewords} codewords"
        with pytest.raises(ConfigurationError, match=message):
            fit_quantizer(config, np.tile(VECTORS[:3], (10, 1)))
    exact = ResidualKMeansConfig(levels=2, codewords=4, normalize="none")
    with pytest.raises(ConfigurationError, match=r"At level 1 only 1 .*Lower `levels` to 1"):
        fit_quantizer(exact, np.float32([[1], [2], [3], [4]]))
    broken = VECTORS.copy()
    broken[17, 2] = np.nan
    with pytest.raises(InputError, match="row 17"):
        fit_quantizer(CONFIG, broken)
    with pytest.raises(InputError, match="9 dimensions"):
        fit_quantizer(CONFIG, VECTORS).assign(np.zeros((2, 9), np.float32))


@pytest.mark.parametrize("initialization", ["random", "points", "k-means++"])
def test_every_balanced_level_is_used_evenly(initialization):
    config = BALANCED.model_copy(update={"initialization": initialization})
    codes = fit_quantizer(config, CROWD).assign(CROWD)
    for level in codes.T:
        assert np.bincount(level, minlength=16).max() <= 1.05 * 700 / 16


def test_balanced_codes_are_the_cheapest_codewords_level_by_level():
    quantizer = fit_quantizer(BALANCED, CROWD)
    residuals = CROWD / np.linalg.norm(CROWD, axis=1, keepdims=True)
    tensors = quantizer.tensors()
    for level, codes in enumerate(quantizer.assign(CROWD).T):
        codebook = tensors[f"codebook_{level}"]
        costs = all_squared_distances(residuals, codebook) + tensors[f"prices_{level}"]
        np.testing.assert_array_equal(costs.argmin(axis=1), codes)
        residuals = residuals - codebook[codes]
    by_hand = sum(quantizer.codebooks[level][quantizer.assign(CROWD)[:, level]] for level in (0, 1))
    np.testing.assert_allclose(
        quantizer.reconstruct(quantizer.assign(CROWD)[:, :2]), by_hand, rtol=1e-6
    )


class Notes(NoProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def note(self, message: str) -> None:
        self.messages.append(message)


def test_equal_vectors_that_cannot_be_spread_are_reported():
    crowded = np.concatenate([np.tile(CROWD[:1], (200, 1)), CROWD[:500]])
    notes = Notes()
    codes = fit_quantizer(BALANCED, crowded, notes).assign(crowded)
    assert np.bincount(codes[:, 0]).max() >= 200
    assert np.bincount(codes[200:, 0], minlength=16).max() <= 50
    assert "Level 0 is not as even as `balance` 1.05 asks" in notes.messages[0]
    assert "where 45 are allowed" in notes.messages[0]
    even = Notes()
    fit_quantizer(BALANCED, CROWD, even)
    assert even.messages == []


def test_missing_prices_are_named():
    tensors = fit_quantizer(BALANCED, CROWD).tensors()
    del tensors["prices_1"]
    with pytest.raises(ArtifactError, match="prices of level 1"):
        ResidualKMeans.from_tensors(BALANCED, tensors)


def lloyd_by_scikit_learn(vectors: np.ndarray, start: np.ndarray, iterations: int) -> np.ndarray:
    fitted = KMeans(len(start), init=start, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd")
    return fitted.fit(vectors).cluster_centers_


@pytest.mark.parametrize("iterations", [1, 3, 50])
def test_from_given_codebooks_each_level_is_lloyds_algorithm(tmp_path, iterations):
    data = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    start = {"codebook_0": data[:12].copy(), "codebook_1": 0.3 * data[20:32]}
    save_file(start, tmp_path / "start.safetensors")
    config = CONFIG.model_copy(
        update={
            "levels": 2,
            "iterations": iterations,
            "tolerance": 0.0,
            "initial_codebooks": str(tmp_path / "start.safetensors"),
        }
    )
    codebooks = fit_quantizer(config, VECTORS).codebooks
    for name, codebook in zip(start, codebooks, strict=True):
        expected = lloyd_by_scikit_learn(data, start[name], iterations)
        np.testing.assert_allclose(codebook, expected, atol=2e-6)
        data = data - codebook[all_squared_distances(data, codebook).argmin(axis=1)]
