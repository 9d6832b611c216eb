import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.quantization.config import ResidualKMeansConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs

VECTORS = blobs(500, 8, centers=30, seed=0, spread=0.4)
CONFIG = ResidualKMeansConfig(levels=3, codewords=12, iterations=20)


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


def test_codes_depend_on_the_vector_alone():
    quantizer = fit_quantizer(CONFIG, VECTORS)
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


def test_the_seed_decides_and_the_input_is_left_alone():
    before = VECTORS.copy()
    first, again, other = (
        fit_quantizer(CONFIG.model_copy(update={"seed": seed}), VECTORS).tensors()
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(VECTORS, before)
    for level in range(3):
        np.testing.assert_array_equal(first[f"codebook_{level}"], again[f"codebook_{level}"])
    assert not np.array_equal(first["codebook_0"], other["codebook_0"])


def test_bad_vectors_are_refused_with_what_to_change():
    with pytest.raises(ConfigurationError, match="only 3 distinct embeddings for 12 codewords"):
        fit_quantizer(CONFIG, np.tile(VECTORS[:3], (10, 1)))
    exact = ResidualKMeansConfig(levels=2, codewords=4, normalize="none")
    with pytest.raises(ConfigurationError, match=r"At level 1 only 1 .*Lower `levels` to 1"):
        fit_quantizer(exact, np.float32([[1], [2], [3], [4]]))
    broken = VECTORS.copy()
    broken[17, 2] = np.nan
    with pytest.raises(InputError, match="row 17"):
        fit_quantizer(CONFIG, broken)
    with pytest.raises(InputError, match="9 dimensions"):
        fit_quantizer(CONFIG, VECTORS).assign(np.zeros((2, 9), np.float32))
