import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from tiger_pipeline.quantization.config import ProductVaeConfig, ResidualVaeConfig
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder

SMALL = {"codewords": 7, "hidden": (9,), "sinkhorn_epsilon": 0.0}
RESIDUAL = ResidualVaeConfig(levels=3, code_dimension=4, **SMALL)
PRODUCT = ProductVaeConfig(levels=2, code_dimension=4, **SMALL)


def build(config, **changes) -> QuantizingAutoencoder:
    torch.manual_seed(0)
    return QuantizingAutoencoder(config.model_copy(update=changes), 6).double()


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


VECTORS = normalize(draw(1, 20, 6))


def by_hand(config, model) -> tuple[np.ndarray, np.ndarray, float]:
    """Codes, quantized vectors and the sum of squared errors a vector, one vector at a time."""
    latents = model.encoder(VECTORS).detach().numpy()
    codebooks = [model.codebook(level)().detach().numpy() for level in range(config.levels)]
    codes, quantized, errors = [], [], 0.0
    for latent in latents:
        row, total, places = [], [], np.zeros(4)
        residual = latent
        for level, codebook in enumerate(codebooks):
            given = latent[2 * level : 2 * level + 2] if config is PRODUCT else residual
            distances = np.square(codebook - given).sum(axis=1)
            row.append(int(distances.argmin()))
            errors += distances.min() / len(latents)
            total.append(codebook[row[-1]])
            residual = residual - codebook[row[-1]] if config is RESIDUAL else residual
        places = np.concatenate(total) if config is PRODUCT else np.sum(total, axis=0)
        codes.append(row)
        quantized.append(places)
    return np.array(codes), np.array(quantized), errors


@pytest.mark.parametrize("config", [RESIDUAL, PRODUCT], ids=lambda config: config.kind)
@pytest.mark.parametrize("gradient", ["ste", "rotation"])
def test_codes_and_losses_are_those_by_hand(config, gradient):
    model = build(config, gradient=gradient)
    codes, quantized, errors = by_hand(config, model)
    loss, reconstruction, quantization = model.loss(VECTORS, noise())
    np.testing.assert_array_equal(torch.stack(quantization.codes, dim=1), codes)
    np.testing.assert_allclose(quantization.quantized.detach(), quantized, atol=1e-9)
    decoded = normalize(model.decoder(torch.from_numpy(quantized))).detach()
    expected = (VECTORS - decoded).square().sum(dim=1).mean()
    torch.testing.assert_close(reconstruction, expected)
    assert quantization.codebook_loss.item() == pytest.approx(errors)
    assert quantization.commitment_loss.item() == pytest.approx(errors)
    assert loss.item() == pytest.approx(expected.item() + errors + 0.5 * errors)
    in_use, described = model.nearest(model.encoder(VECTORS))
    np.testing.assert_array_equal(in_use, codes)
    np.testing.assert_allclose(described.detach(), quantized, atol=1e-12)


def test_the_decoders_gradient_reaches_the_encoder_once_not_once_a_level():
    model = build(RESIDUAL, commitment_weight=0.0)
    latents = model.encoder(VECTORS).detach().requires_grad_()
    quantization = model.quantize(latents, noise())
    upstream = draw(2, 20, 4)
    quantization.quantized.backward(upstream)
    torch.testing.assert_close(latents.grad, upstream)


def test_every_level_commits_the_encoder_and_moves_its_own_codewords():
    model = build(RESIDUAL)
    latents = model.encoder(VECTORS).detach().requires_grad_()
    quantization = model.quantize(latents, noise())
    quantization.commitment_loss.backward()
    expected, residual = torch.zeros_like(latents), latents.detach()
    for level, codes in enumerate(quantization.codes):
        residual = residual - model.codebook(level)().detach()[codes]
        expected += 2 * residual / 20
    torch.testing.assert_close(latents.grad, expected)
    assert all(book.codewords.grad is None for book in model.codebooks)
    model.quantize(latents.detach(), noise()).codebook_loss.backward()
    for level, codes in enumerate(quantization.codes):
        used = torch.bincount(codes, minlength=7) > 0
        moved = model.codebook(level).codewords.grad.abs().sum(dim=1) > 0
        torch.testing.assert_close(moved, used)


def test_averaged_codebooks_have_no_loss():
    model = build(RESIDUAL, codebook="ema")
    loss, reconstruction, quantization = model.loss(VECTORS, noise())
    assert loss.item() == pytest.approx(
        (reconstruction + 0.5 * quantization.commitment_loss).item()
    )


def test_sinkhorn_evens_out_the_last_level_in_training_only():
    model = build(RESIDUAL, sinkhorn_epsilon=0.05, codewords=4)
    with torch.no_grad():
        model.codebook(2).codewords[1:] += 5  # the nearest is always the first
    quantization = model.quantize(model.encoder(VECTORS), noise())
    assert torch.bincount(quantization.codes[2], minlength=4).max() <= 8
    assert quantization.nearest[2].unique().tolist() == [0]
    assert model.nearest(model.encoder(VECTORS))[0][:, 2].unique().tolist() == [0]
    torch.testing.assert_close(quantization.codes[0], quantization.nearest[0])


def test_gumbel_trains_encoder_and_codewords_through_the_decoder():
    model = build(RESIDUAL, gradient="gumbel")
    _, reconstruction, quantization = model.loss(VECTORS, noise())
    model.decode(quantization.quantized).sum().backward()
    assert model.encoder[0].weight.grad.abs().sum() > 0
    assert all(book.codewords.grad.abs().sum() > 0 for book in model.codebooks)
    again = model.loss(VECTORS, noise())[1]
    torch.testing.assert_close(again, reconstruction)
    other = model.loss(VECTORS, torch.Generator().manual_seed(6))[1]
    assert other != reconstruction


def test_a_shared_codebook_is_one():
    model = build(RESIDUAL, shared_codebook=True)
    assert len(model.codebooks) == 1
    assert model.codebook(0) is model.codebook(2)
    assert len(build(RESIDUAL).codebooks) == 3
