"""How the decoder's gradient passes the choice of a codeword, which has none of its own."""

import torch
from torch import Tensor

_SMALLEST_NORM = 1e-6


def straight_through(latents: Tensor, quantized: Tensor) -> Tensor:
    """`quantized`, whose gradient is handed to `latents` as it is (van den Oord et al., 2017).

    Args:
        latents: float32[n, d], what the encoder gave.
        quantized: float32[n, d], what the codewords make of it.
    """
    return latents + (quantized - latents).detach()


def rotate(latents: Tensor, quantized: Tensor) -> Tensor:
    """`quantized` as each row of `latents` rotated and scaled, both taken as constant.

    The gradient is rotated and scaled back, so its angle to the quantized vector becomes its angle
    to the latent vector: the rotation trick (Fifty et al., "Restructuring vector quantization with
    the rotation trick", 2024, section 4.2). Norms are those of rows, not of the batch.

    Args:
        latents: float32[n, d].
        quantized: float32[n, d].
    """
    with torch.no_grad():
        latent_norms = latents.norm(dim=1, keepdim=True).clamp_min(_SMALLEST_NORM)
        quantized_norms = quantized.norm(dim=1, keepdim=True)
        source = latents / latent_norms
        target = quantized / quantized_norms.clamp_min(_SMALLEST_NORM)
        middle = source + target
        middle /= middle.norm(dim=1, keepdim=True).clamp_min(_SMALLEST_NORM)
        scale = quantized_norms / latent_norms
    reflected = latents - 2 * (latents * middle).sum(dim=1, keepdim=True) * middle
    return scale * (reflected + 2 * (latents * source).sum(dim=1, keepdim=True) * target)


def gumbel_logits(
    half_distances: Tensor, dimension: int, noise_scale: float, generator: torch.Generator
) -> Tensor:
    """Logits of all codewords with Gumbel noise, whose argmax is a random codeword nearby.

    The codewords count as the means of equally likely Gaussians with the variance σ² a dimension
    that the nearest codewords suggest: the logits −‖x − e‖² / 2σ² mean the same at every scale of
    the latents. With noise of scale 1 the argmax is a draw from that mixture's posterior, with
    scale 0 it is the nearest codeword.

    Args:
        half_distances: float32[n, k], half the squared distances to all codewords.
        dimension: of the codewords.
        noise_scale: 0…1.
        generator: of the noise, on the device of the distances.
    """
    variance = 2 * half_distances.detach().amin(dim=1).mean() / dimension
    logits = -half_distances / variance.clamp_min(torch.finfo(torch.float32).tiny)
    minus_noise = torch.empty_like(half_distances).exponential_(generator=generator).log_()
    return logits - noise_scale * minus_noise


def soften(chosen: Tensor, logits: Tensor, codebook: Tensor, temperature: float) -> Tensor:
    """`chosen`, with the gradient that the softmax over all codewords has towards `logits`.

    The straight-through Gumbel-softmax estimator (Jang, Gu and Poole, 2017).

    Args:
        chosen: float32[n, d], the codewords at the argmax of `logits`.
        logits: float32[n, k], from `gumbel_logits`.
        codebook: float32[k, d].
        temperature: of the softmax.
    """
    mean = (logits / temperature).softmax(dim=1) @ codebook.detach()
    return chosen + mean - mean.detach()
