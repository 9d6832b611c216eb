import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.quantization.vae.gradients import (
    gumbel_logits,
    rotate,
    soften,
    straight_through,
)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_straight_through_gradient_is_the_decoders():
    latents, quantized = draw(0, 5, 4).requires_grad_(), draw(1, 5, 4).requires_grad_()
    matrix = draw(2, 4, 3)
    decoded = (straight_through(latents, quantized) @ matrix).square().sum()
    decoded.backward()
    at_codewords = quantized.detach().clone().requires_grad_()
    (at_codewords @ matrix).square().sum().backward()
    torch.testing.assert_close(latents.grad, at_codewords.grad)
    assert quantized.grad is None


def rotation_matrix(latent: np.ndarray, quantized: np.ndarray) -> np.ndarray:
    """I − 2rrᵀ + 2q̂ẑᵀ of one pair, from the paper's section 4.2, times ‖q‖ / ‖z‖."""
    source, target = latent / np.linalg.norm(latent), quantized / np.linalg.norm(quantized)
    middle = (source + target) / np.linalg.norm(source + target)
    rotation = np.eye(len(latent)) - 2 * np.outer(middle, middle) + 2 * np.outer(target, source)
    return np.linalg.norm(quantized) / np.linalg.norm(latent) * rotation


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_rotation_gives_the_codeword_and_the_papers_gradient_row_by_row(seed):
    latents, quantized, upstream = draw(seed, 3, 6, 5)
    latents.requires_grad_()
    rotated = rotate(latents, quantized)
    torch.testing.assert_close(rotated.detach(), quantized)
    rotated.backward(upstream)
    for row in range(6):
        matrix = rotation_matrix(latents[row].detach().numpy(), quantized[row].numpy())
        expected = matrix.T @ upstream[row].numpy()
        np.testing.assert_allclose(latents.grad[row].numpy(), expected, atol=1e-9)


def test_rotation_keeps_the_angle_and_the_ratio_of_norms():
    latents, quantized, upstream = draw(7, 3, 6, 5)
    latents.requires_grad_()
    rotate(latents, quantized).backward(upstream)
    cosine = torch.nn.functional.cosine_similarity
    torch.testing.assert_close(
        cosine(latents.grad, latents.detach()), cosine(upstream, quantized), atol=1e-9, rtol=0
    )
    ratio = quantized.norm(dim=1) / latents.detach().norm(dim=1)
    torch.testing.assert_close(latents.grad.norm(dim=1), ratio * upstream.norm(dim=1))


@pytest.mark.parametrize("make", [torch.zeros_like, torch.neg], ids=["zero", "opposite"])
def test_rotation_of_degenerate_pairs_is_finite(make):
    latents = draw(0, 4, 3).requires_grad_()
    rotated = rotate(latents, make(latents.detach()))
    rotated.sum().backward()
    assert torch.isfinite(rotated).all()
    assert torch.isfinite(latents.grad).all()


def test_gumbel_noise_draws_from_the_posterior_of_gaussians_around_the_codewords():
    half_distances = torch.tensor([[0.2, 0.22, 0.24]]).expand(40_000, 3)
    logits = gumbel_logits(half_distances, 16, 1.0, torch.Generator().manual_seed(0))
    shares = torch.bincount(logits.argmax(dim=1), minlength=3) / 40_000
    # The nearest squared distance is 0.4 in 16 dimensions: the variance of one is 0.025.
    expected = torch.softmax(-torch.tensor([0.2, 0.22, 0.24]) / 0.025, dim=0)
    torch.testing.assert_close(shares, expected, atol=0.01, rtol=0)


def test_without_noise_the_argmax_is_the_nearest_codeword():
    half_distances = draw(3, 50, 6).abs()
    logits = gumbel_logits(half_distances, 4, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(logits.argmax(dim=1), half_distances.argmin(dim=1))


def test_softening_is_the_straight_through_gumbel_softmax():
    logits, codebook = draw(0, 4, 6), draw(1, 6, 3)
    upstream = draw(2, 4, 3)
    gradients = []
    for mixed in (True, False):
        ours, book = logits.clone().requires_grad_(), codebook.clone().requires_grad_()
        codes = logits.argmax(dim=1)
        if mixed:
            result = soften(book[codes], ours, book, temperature=0.7)
        else:
            soft = (ours / 0.7).softmax(dim=1)
            hard = torch.nn.functional.one_hot(codes, 6) - soft.detach() + soft
            result = hard @ book
        torch.testing.assert_close(result.detach(), codebook[codes])
        result.backward(upstream)
        gradients.append((ours.grad, book.grad))
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference)
