import numpy as np
import pytest
from sklearn.cluster import KMeans

from tiger_pipeline.errors import ArtifactError, ConfigurationError, InputError
from tiger_pipeline.quantization.config import ProductKMeansConfig, ResidualKMeansConfig
from tiger_pipeline.quantization.product_kmeans import ProductKMeans
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs

VECTORS = blobs(500, 10, centers=30, seed=0, spread=0.4)
CONFIG = ProductKMeansConfig(levels=3, codewords=12, iterations=20, normalize="none")
WIDTHS = (4, 3, 3)


def parts(vectors: np.ndarray) -> list[np.ndarray]:
    return [vectors[:, :4], vectors[:, 4:7], vectors[:, 7:]]


def test_codes_are_the_nearest_codewords_of_each_part():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    assert tuple(codebook.shape[1] for codebook in quantizer.codebooks) == WIDTHS
    for part, codebook, codes in zip(
        parts(VECTORS), quantizer.codebooks, quantizer.assign(VECTORS).T, strict=True
    ):
        np.testing.assert_array_equal(all_squared_distances(part, codebook).argmin(1), codes)


def test_a_part_is_clustered_as_if_it_were_alone():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    alone = fit_quantizer(
        ResidualKMeansConfig(levels=1, codewords=12, iterations=20, normalize="none"),
        np.ascontiguousarray(parts(VECTORS)[0]),
    )
    np.testing.assert_array_equal(quantizer.codebooks[0], alone.codebooks[0])


def test_parts_are_as_good_as_scikit_learns():
    config = CONFIG.model_copy(update={"initialization": "k-means++", "tolerance": 0.0})
    ours = np.zeros(3)
    for seed in range(3):
        quantizer = fit_quantizer(config.model_copy(update={"seed": seed}), VECTORS)
        for level, part in enumerate(parts(VECTORS)):
            ours[level] += all_squared_distances(part, quantizer.codebooks[level]).min(1).sum() / 3
    for level, part in enumerate(parts(VECTORS)):
        theirs = np.mean(
            [KMeans(12, n_init=1, max_iter=20, random_state=s).fit(part).inertia_ for s in range(3)]
        )
        assert ours[level] <= 1.05 * theirs


def test_reconstruction_puts_codewords_side_by_side_and_the_mean_where_nothing_is_known():
    quantizer = fit_quantizer(CONFIG, VECTORS)
    codes = quantizer.assign(VECTORS)
    whole, two_parts = quantizer.reconstruct(codes), quantizer.reconstruct(codes[:, :2])
    np.testing.assert_array_equal(whole[5, 4:7], quantizer.codebooks[1][codes[5, 1]])
    np.testing.assert_array_equal(two_parts[:, :7], whole[:, :7])
    np.testing.assert_allclose(two_parts[5, 7:], VECTORS[:, 7:].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("rotation", ["none", "opq"])
def test_codes_depend_on_the_vector_alone(rotation):
    config = CONFIG.model_copy(update={"levels": 2, "rotation": rotation, "normalize": "l2"})
    quantizer = fit_quantizer(config, VECTORS)
    alone = np.concatenate([quantizer.assign(row[None]) for row in VECTORS])
    np.testing.assert_array_equal(alone, quantizer.assign(VECTORS))
    np.testing.assert_array_equal(quantizer.assign(4 * VECTORS), quantizer.assign(VECTORS))


def test_the_rotation_lowers_the_error_of_unevenly_spread_vectors():
    generator = np.random.default_rng(0)
    scales = np.float32([5, 4, 3, 2, 0.1, 0.1, 0.1, 0.1])
    vectors = generator.normal(size=(2000, 8)).astype(np.float32) * scales
    errors = {}
    for rotation in ("none", "opq"):
        config = CONFIG.model_copy(update={"levels": 2, "codewords": 32, "rotation": rotation})
        quantizer = fit_quantizer(config, vectors)
        errors[rotation] = np.square(
            vectors - quantizer.reconstruct(quantizer.assign(vectors))
        ).mean()
    assert errors["opq"] < 0.8 * errors["none"]


def test_the_seed_decides():
    first, again, other = (
        fit_quantizer(CONFIG.model_copy(update={"seed": seed}), VECTORS).tensors()
        for seed in (0, 0, 1)
    )
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["codebook_1"], other["codebook_1"])


def test_bad_input_is_refused_with_what_to_change():
    flat = VECTORS.copy()
    flat[:, 4:7] = np.round(flat[:, 4:7].clip(0, 1))
    with pytest.raises(ConfigurationError, match=r"Part 1 .* only 8 distinct values"):
        fit_quantizer(CONFIG, flat)
    with pytest.raises(ConfigurationError, match="2 dimensions cannot be split into 3 parts"):
        fit_quantizer(CONFIG, np.ascontiguousarray(VECTORS[:, :2]))
    with pytest.raises(InputError, match="no embeddings"):
        fit_quantizer(CONFIG, VECTORS[:0])


def test_missing_tensors_are_named():
    config = CONFIG.model_copy(update={"levels": 2, "rotation": "opq"})
    tensors = fit_quantizer(config, VECTORS).tensors()
    for name in ("mean", "rotation"):
        rest = {other: tensor for other, tensor in tensors.items() if other != name}
        with pytest.raises(ArtifactError, match="mean or the rotation"):
            ProductKMeans.from_tensors(config, rest)
