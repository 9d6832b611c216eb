import numpy as np
import pytest
import torch

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization.config import ProductVaeConfig, ResidualVaeConfig
from tiger_pipeline.quantization.vae.initialization import scale_latents, start_codebooks
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline_tests.quantization.synthetic import blobs

VECTORS = torch.from_numpy(blobs(400, 8, centers=20, seed=0))
SMALL = {"levels": 2, "codewords": 16, "hidden": (12,), "code_dimension": 6}


def started(config) -> QuantizingAutoencoder:
    torch.manual_seed(0)
    model = QuantizingAutoencoder(config, 8)
    start_codebooks(model, VECTORS, seed=0)
    return model


def test_latents_are_scaled_to_unit_length_on_average():
    model = QuantizingAutoencoder(ResidualVaeConfig(**SMALL), 8)
    before = model.encoder(VECTORS)
    scale_latents(model, VECTORS)
    after = model.encoder(VECTORS)
    assert after.square().sum(dim=1).mean().item() == pytest.approx(1, rel=1e-4)
    torch.testing.assert_close(after, before * (after[0, 0] / before[0, 0]), rtol=1e-4, atol=1e-5)
    scale_latents(model, torch.zeros(5, 8))
    torch.testing.assert_close(model.encoder(VECTORS), after)


@pytest.mark.parametrize("codebook", ["learned", "ema", "simvq"])
@pytest.mark.parametrize("kind", [ResidualVaeConfig, ProductVaeConfig])
def test_every_codeword_starts_near_to_what_it_is_for(kind, codebook):
    model = started(kind(codebook=codebook, **SMALL))
    latents = model.encoder(VECTORS)
    codes, quantized = model.nearest(latents)
    assert [len(level.unique()) for level in codes.T] == [16, 16]
    spread = (latents - latents.mean(dim=0)).square().sum()
    assert (latents - quantized).square().sum() < 0.3 * spread


def test_a_shared_codebook_serves_every_level():
    model = started(ResidualVaeConfig(shared_codebook=True, **SMALL))
    codes, _ = model.nearest(model.encoder(VECTORS))
    assert set(codes[:, 0].tolist()) >= set(range(8))
    assert set(codes.flatten().tolist()) == set(range(16))


def test_the_seed_decides():
    config = ResidualVaeConfig(**SMALL)
    first, again = (started(config).codebook(1)().detach().numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_too_few_distinct_vectors_are_refused():
    config = ResidualVaeConfig(**{**SMALL, "codewords": 300})
    model = QuantizingAutoencoder(config, 8)
    with pytest.raises(ConfigurationError, match="only 100 distinct"):
        start_codebooks(model, VECTORS[:100], seed=0)
