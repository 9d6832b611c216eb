import numpy as np
import pydantic
import pytest

from tiger_pipeline.errors import ArtifactError, ConfigurationError, InputError
from tiger_pipeline.quantization.config import ProductVaeConfig, ResidualVaeConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline.quantization.vae_quantizer import VaeQuantizer
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs

VECTORS = blobs(300, 10, centers=12, seed=0, spread=0.5)
SMALL = {"codewords": 8, "hidden": (16, 12), "epochs": 3, "batch_size": 64, "levels": 2}
CONFIGS = [
    ResidualVaeConfig(code_dimension=6, **SMALL),
    ResidualVaeConfig(code_dimension=6, shared_codebook=True, codebook="simvq", **SMALL),
    ProductVaeConfig(code_dimension=6, normalize="none", **SMALL),
]
by_name = pytest.mark.parametrize("config", CONFIGS, ids=["residual", "shared", "product"])


def silu_mlp(layers, values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    for index, layer in enumerate(layers):
        if index:
            values = values / (1 + np.exp(-values))
        values = values @ layer.T.astype(np.float64)
    return values


@by_name
def test_codes_are_the_nearest_codewords_of_the_encoded_vector(config):
    quantizer = fit_quantizer(config, VECTORS)
    given = silu_mlp(quantizer.encoder, quantizer.prepare(VECTORS))
    codes = quantizer.assign(VECTORS)
    for level, codebook in enumerate(quantizer.codebooks):
        inputs = given[:, 3 * level : 3 * level + 3] if config is CONFIGS[2] else given
        np.testing.assert_array_equal(
            all_squared_distances(inputs, codebook).argmin(axis=1), codes[:, level]
        )
        given = given if config is CONFIGS[2] else given - codebook[codes[:, level]]


@by_name
def test_reconstruction_decodes_the_codewords(config):
    quantizer = fit_quantizer(config, VECTORS)
    codes = quantizer.assign(VECTORS)
    first = quantizer.codebooks[0][codes[:, 0]]
    second = quantizer.codebooks[1][codes[:, 1]]
    whole, prefix = first + second, first
    if config is CONFIGS[2]:
        whole = np.concatenate([first, second], axis=1)
        prefix = np.concatenate([first, np.zeros_like(second)], axis=1)
    for known, quantized in ((2, whole), (1, prefix)):
        decoded = silu_mlp(quantizer.decoder, quantized)
        if config.normalize == "l2":
            decoded /= np.linalg.norm(decoded, axis=1, keepdims=True)
        np.testing.assert_allclose(quantizer.reconstruct(codes[:, :known]), decoded, atol=1e-5)


@by_name
def test_codes_depend_on_the_vector_alone(config):
    quantizer = fit_quantizer(config, VECTORS)
    codes = quantizer.assign(VECTORS)
    alone = np.concatenate([quantizer.assign(row[None]) for row in VECTORS])
    np.testing.assert_array_equal(alone, codes)
    np.testing.assert_array_equal(quantizer.assign(VECTORS[::-1].copy()), codes[::-1])
    assert quantizer.assign(VECTORS[:0]).shape == (0, 2)


@by_name
def test_assigning_reproduces_the_figures_of_the_best_epoch(config):
    quantizer = fit_quantizer(config, VECTORS)
    best = quantizer.history.rows[quantizer.history.best_epoch - 1]
    codes = quantizer.assign(VECTORS)
    used = [len(np.unique(level)) / 8 for level in codes.T]
    assert used == best["utilization"]
    errors = quantizer.prepare(VECTORS) - quantizer.reconstruct(codes)
    assert np.square(errors).sum(axis=1).mean() == pytest.approx(
        best["reconstruction_mse"], rel=1e-4
    )


@by_name
def test_the_seed_decides_and_the_input_is_left_alone(config):
    before = VECTORS.copy()
    first, again, other = (
        fit_quantizer(config.model_copy(update={"seed": seed}), VECTORS).tensors()
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(VECTORS, before)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["encoder_0"], other["encoder_0"])


def test_fitting_leaves_the_global_random_state_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit_quantizer(CONFIGS[0], VECTORS)
    assert torch.equal(torch.rand(2), expected)


def test_bad_vectors_are_refused_with_what_to_change():
    with pytest.raises(ConfigurationError, match="only 3 distinct embeddings for 8 codewords"):
        fit_quantizer(CONFIGS[0], np.tile(VECTORS[:3], (10, 1)))
    with pytest.raises(InputError, match="no embeddings"):
        fit_quantizer(CONFIGS[0], VECTORS[:0])
    with pytest.raises(InputError, match="9 dimensions"):
        fit_quantizer(CONFIGS[0], VECTORS).assign(np.zeros((2, 9), np.float32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gradient": "gumbel", "codebook": "ema"}, "cannot go with codebook `ema`"),
        ({"hidden": (16, 0)}, "greater than or equal to 1"),
        ({"learning_rate": 0}, "greater than 0"),
    ],
)
def test_contradicting_settings_are_refused(values, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        ResidualVaeConfig(**values)


def test_parts_must_be_equal():
    with pytest.raises(pydantic.ValidationError, match="32 is not a multiple of levels 3"):
        ProductVaeConfig(code_dimension=32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder_0", "Layer 0 of the encoder"),
        ("decoder_1", r"Layer 1 of the decoder is missing or is not 16 × 12"),
        ("codebook_1", "codebook of level 1"),
    ],
)
def test_missing_tensors_are_named(name, message):
    tensors = fit_quantizer(CONFIGS[0], VECTORS).tensors()
    del tensors[name]
    with pytest.raises(ArtifactError, match=message):
        VaeQuantizer.from_tensors(CONFIGS[0], tensors)
