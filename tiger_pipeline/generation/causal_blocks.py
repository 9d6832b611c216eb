"""Transformer blocks with causal attention: layer norm first, as in GPT-2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiger_pipeline.generation.config import CausalTransformerConfig

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one attention, of the same shape."""


class Attention(nn.Module):
    """Causal multi-head self-attention, and the same for beams over a shared history.

    No dropout on the attention weights: with it no fused kernel can be used.
    """

    def __init__(self, config: CausalTransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of x [B, L, width]: [B, heads, L, head width] each."""
        B, L, _ = x.shape
        q, k, v = self.qkv(x).view(B, L, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return q, k, v

    def keys_values(self, x: Tensor) -> KeysValues:
        """Only the keys and values of x [B, L, width]: [B, heads, L, head width] each."""
        B, L, width = x.shape
        projected = F.linear(x, self.qkv.weight[width:], self.qkv.bias[width:])
        k, v = projected.view(B, L, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return k, v

    def _join(self, x: Tensor) -> Tensor:
        """Heads side by side again, and mixed: [B, heads, L, head width] → [B, L, width]."""
        return self.out(x.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> tuple[Tensor, KeysValues]:
        """Attend from every position of x [B, L, width] to itself and those before it.

        Returns:
            Output [B, L, width], and keys and values [B, heads, L, head width].
        """
        q, k, v = self._split(x)
        return self._join(F.scaled_dot_product_attention(q, k, v, is_causal=True)), (k, v)

    def extend(
        self, x: Tensor, history: KeysValues, padding: Tensor, own: KeysValues
    ) -> tuple[Tensor, KeysValues]:
        """Attend from one new position of every beam, x [B, m, width].

        The beams of a user are m queries on the one set of history keys, not m copies of it.

        Args:
            x: the new positions.
            history: keys and values [B, heads, L, head width].
            padding: bool[B, 1, 1, L], True where the history has none.
            own: keys and values [B, heads, m, t, head width] of the beams' t earlier codes.

        Returns:
            Output [B, m, width], and `own` with the new position: t + 1.
        """
        q, k, v = self._split(x)
        own_k = torch.cat([own[0], k.unsqueeze(3)], dim=3)
        own_v = torch.cat([own[1], v.unsqueeze(3)], dim=3)
        scores_history = (q @ history[0].transpose(-1, -2)).masked_fill(padding, -torch.inf)
        scores_own = (q.unsqueeze(3) * own_k).sum(-1)
        scores = torch.cat([scores_history, scores_own], dim=-1).float() * q.shape[-1] ** -0.5
        weights = scores.softmax(-1).to(v.dtype)
        n_history = padding.shape[-1]
        mixed = weights[..., :n_history] @ history[1]
        mixed = mixed + (weights[..., n_history:, None] * own_v).sum(3)
        return self._join(mixed), (own_k, own_v)


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and added to the stream."""

    def __init__(self, config: CausalTransformerConfig) -> None:
        super().__init__()
        inner = int(config.mlp_ratio * config.width)
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.norm_mlp = nn.LayerNorm(config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, inner), nn.GELU(), nn.Linear(inner, config.width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def _add(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.dropout(attended)
        return x + self.dropout(self.mlp(self.norm_mlp(x)))

    def forward(self, x: Tensor) -> tuple[Tensor, KeysValues]:
        """See `Attention.forward`."""
        attended, keys_values = self.attention(self.norm_attention(x))
        return self._add(x, attended), keys_values


class ExtendableBlock(Block):
    """A `Block` for generators whose beams go through the blocks, a position a code."""

    def extend(
        self, x: Tensor, history: KeysValues, padding: Tensor, own: KeysValues
    ) -> tuple[Tensor, KeysValues]:
        """See `Attention.extend`."""
        attended, own = self.attention.extend(self.norm_attention(x), history, padding, own)
        return self._add(x, attended), own
