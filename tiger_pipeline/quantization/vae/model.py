"""The autoencoder with its codebooks: what one training step computes."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tiger_pipeline.quantization.config import ProductVaeConfig, ResidualVaeConfig
from tiger_pipeline.quantization.vae.codebooks import Codebook, build_codebook
from tiger_pipeline.quantization.vae.gradients import (
    gumbel_logits,
    rotate,
    soften,
    straight_through,
)
from tiger_pipeline.quantization.vae.network import build_autoencoder
from tiger_pipeline.quantization.vae.sinkhorn import even_codes


@dataclass
class Quantization:
    """How a batch of latent vectors was quantized.

    Attributes:
        inputs: by level, float32[n, d_level], what the level was given, without gradients.
        codes: by level, int64[n].
        nearest: by level, int64[n], the nearest codewords: other than `codes` under Sinkhorn and
            under Gumbel noise.
        quantized: float32[n, d_code], what the decoder gets; its gradient reaches the latents.
        codebook_loss: Σ over levels of ‖sg[input] − codeword‖², mean over the batch.
        commitment_loss: Σ over levels of ‖input − sg[codeword]‖², mean over the batch.
    """

    inputs: list[Tensor]
    codes: list[Tensor]
    nearest: list[Tensor]
    quantized: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class QuantizingAutoencoder(nn.Module):
    """Encoder, codebooks and decoder.

    Residual (RQ-VAE; Zeghidour et al., 2021): each level quantizes what the levels before left
    over, and the sum of the codewords is decoded. Product: each level quantizes a part of the
    latent vector, and the codewords side by side are decoded.

    Residuals subtract constant codewords, so the commitment loss of every level reaches the
    encoder; the gradient of the decoder passes the levels once, as a whole.
    """

    def __init__(self, config: ResidualVaeConfig | ProductVaeConfig, dimension: int) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = build_autoencoder(
            dimension, config.hidden, config.code_dimension
        )
        shared = isinstance(config, ResidualVaeConfig) and config.shared_codebook
        self._splits = isinstance(config, ProductVaeConfig)
        width = config.code_dimension // (config.levels if self._splits else 1)
        self.codebooks = nn.ModuleList(
            build_codebook(config.codebook, config.codewords, width, config.ema_decay)
            for _ in range(1 if shared else config.levels)
        )

    def codebook(self, level: int) -> Codebook:
        """The codebook of a level, which may be that of all levels."""
        return cast(Codebook, self.codebooks[level % len(self.codebooks)])

    def loss(
        self, vectors: Tensor, generator: torch.Generator, gumbel_scale: float = 1.0
    ) -> tuple[Tensor, Tensor, Quantization]:
        """The losses of a batch: squared errors summed over dimensions.

        Args:
            vectors: float32[n, d].
            generator: of the Gumbel noise.
            gumbel_scale: of that noise, 0…1.

        Returns:
            The loss to minimize, the reconstruction loss, and the quantization.
        """
        quantization = self.quantize(self.encoder(vectors), generator, gumbel_scale)
        decoded = self.decode(quantization.quantized)
        reconstruction = _mean_square(vectors - decoded)
        loss = reconstruction + self.config.commitment_weight * quantization.commitment_loss
        if self.config.codebook != "ema":
            loss = loss + quantization.codebook_loss
        return loss, reconstruction.detach(), quantization

    def decode(self, quantized: Tensor) -> Tensor:
        """float32[n, d] from float32[n, d_code]; of unit length if so configured."""
        decoded: Tensor = self.decoder(quantized)
        return functional.normalize(decoded) if self.config.normalize == "l2" else decoded

    def quantize(
        self, latents: Tensor, generator: torch.Generator, gumbel_scale: float = 1.0
    ) -> Quantization:
        """Quantize latent vectors as in training.

        Args:
            latents: float32[n, d_code], what the encoder gave.
            generator: of the Gumbel noise.
            gumbel_scale: of that noise, 0…1.
        """
        inputs, codes, nearest, chosen = [], [], [], []
        codebook_loss = commitment_loss = latents.new_zeros(())
        residual = latents
        for level in range(self.config.levels):
            level_input = self._level_input(latents, residual, level)
            codebook = self.codebook(level)()
            costs = self._distances(level_input, codebook)
            nearest.append(costs.argmin(dim=1))
            preferred, logits = nearest[-1], None
            if self.config.gradient == "gumbel":
                logits = gumbel_logits(costs, codebook.shape[1], gumbel_scale, generator)
                costs = -logits.detach()
                preferred = costs.argmin(dim=1)
            codes.append(self._even_out(costs, preferred, level))
            codewords = functional.embedding(codes[-1], codebook)
            constant = codewords.detach()
            codebook_loss = codebook_loss + _mean_square(level_input.detach() - codewords)
            commitment_loss = commitment_loss + _mean_square(level_input - constant)
            if not self._splits:
                residual = residual - constant
            inputs.append(level_input.detach())
            if logits is not None:
                codewords = soften(codewords, logits, codebook, self.config.gumbel_temperature)
            chosen.append(codewords)
        quantized = self._pass_gradient(latents, chosen)
        return Quantization(inputs, codes, nearest, quantized, codebook_loss, commitment_loss)

    def _level_input(self, latents: Tensor, residual: Tensor, level: int) -> Tensor:
        return latents.chunk(self.config.levels, dim=1)[level] if self._splits else residual

    def _distances(self, inputs: Tensor, codebook: Tensor) -> Tensor:
        """Half the squared distances float32[n, k]; gradients, and the inputs' share, for Gumbel.

        The inputs' squared norms are the same for all codewords, so only Gumbel needs them.
        """
        if self.config.gradient != "gumbel":
            return _half_distances(inputs.detach(), codebook.detach())
        return _half_distances(inputs, codebook) + inputs.square().sum(dim=1, keepdim=True) / 2

    def _even_out(self, costs: Tensor, preferred: Tensor, level: int) -> Tensor:
        epsilon = self.config.sinkhorn_epsilon
        is_last = level == self.config.levels - 1
        return even_codes(costs, epsilon) if is_last and epsilon > 0 else preferred

    def _pass_gradient(self, latents: Tensor, chosen: list[Tensor]) -> Tensor:
        quantized = self._combine(chosen)
        if self.config.gradient == "gumbel":
            return quantized
        estimate = rotate if self.config.gradient == "rotation" else straight_through
        return estimate(latents, quantized.detach())

    def _combine(self, chosen: list[Tensor]) -> Tensor:
        return torch.cat(chosen, dim=1) if self._splits else torch.stack(chosen).sum(dim=0)

    @torch.no_grad()
    def nearest(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Codes int64[n, levels] of latent vectors as in use, and float32[n, d_code] of them."""
        codes, chosen, residual = [], [], latents
        for level in range(self.config.levels):
            codebook = self.codebook(level)()
            level_input = self._level_input(latents, residual, level)
            codes.append(_half_distances(level_input, codebook).argmin(dim=1))
            chosen.append(codebook[codes[-1]])
            if not self._splits:
                residual = residual - chosen[-1]
        return torch.stack(codes, dim=1), self._combine(chosen)


def _half_distances(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Half the squared distances float32[n, k], less half of each vector's squared norm."""
    return torch.addmm(codebook.square().sum(dim=1) / 2, vectors, codebook.T, alpha=-1)


def _mean_square(differences: Tensor) -> Tensor:
    return differences.square().sum() / len(differences)
