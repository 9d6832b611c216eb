"""Transformer blocks in which averages over the recent past stand beside causal attention.

What a user buys next follows from the drift of the last items more than from any one of them, and
from few interactions attention learns that badly. BSARec (Shin et al. 2024, arXiv:2312.10325)
therefore adds to attention what a filter leaves of the sequence: its low frequencies, and its high
ones by a learned weight. That filter is a Fourier transform of the whole sequence, so with a loss
at every position it would show a position what it has to predict. Here low frequencies are means
of what a position has read, in which weights fall with age.
"""

import torch
from torch import Tensor, nn

from tiger_pipeline.generation.causal_blocks import Block, KeysValues
from tiger_pipeline.generation.config import CausalTransformerConfig

DECAYS = (0.5, 0.8, 0.95, 1.0)
"""Weight of a position one step older; each holds for its share of the channels."""


def weights_by_age(length: int, decay: float | Tensor, device: torch.device) -> Tensor:
    """By which position p takes in positions q ≤ p: decay^(p − q) in [p, q], 0 where q is later.

    Returns:
        float32[length, length].
    """
    place = torch.arange(length, device=device)
    age = place.unsqueeze(1) - place
    return decay ** age.clamp(min=0) * (age >= 0)


def causal_means(x: Tensor) -> Tensor:
    """Means over each position and those before it: x [B, L, width] → the same shape.

    At position p, channel c is Σ_a d^a · x[p − a, c] / Σ_a d^a over the ages a = 0 … p, where d is
    the channel's of `DECAYS`.
    """
    means = []
    for decay, channels in zip(DECAYS, x.tensor_split(len(DECAYS), dim=-1), strict=True):
        weights = weights_by_age(x.shape[1], decay, x.device)
        means.append((weights / weights.sum(1, keepdim=True)).to(x.dtype) @ channels)
    return torch.cat(means, dim=-1)


class SmoothedBlock(Block):
    """A `Block` whose attention is mixed with the causal means of what it attends to."""

    def __init__(self, config: CausalTransformerConfig, share: float) -> None:
        """A block with fresh weights.

        Args:
            config: of the block.
            share: of the filter, 0 … 1; the rest is attention.
        """
        super().__init__(config)
        self.share = share
        # Squared, as in BSARec: high frequencies are weakened or strengthened, never turned around.
        self.high_frequencies = nn.Parameter(torch.randn(config.width))

    def forward(self, x: Tensor) -> tuple[Tensor, KeysValues]:
        """See `Attention.forward`."""
        normed = self.norm_attention(x)
        attended, keys_values = self.attention(normed)
        low = causal_means(normed)
        filtered = low + self.high_frequencies.square() * (normed - low)
        return self._add(x, (1 - self.share) * attended + self.share * filtered), keys_values
