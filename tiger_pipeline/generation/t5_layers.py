"""The layers of T5 (Raffel et al. 2020, arXiv:1910.10683), for sequences and for beams.

RMS norms first, no biases, attention without scaling and with learned biases by relative position.
Dropout is where T5 has it, on the attention weights too.
"""

import math

import torch
from torch import Tensor, nn

from tiger_pipeline.generation.config import T5Config
from tiger_pipeline.generation.fast_dropout import FastDropout

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one attention, of the same shape."""

_POSITION_BUCKETS = 32
_FURTHEST_POSITION = 128


def position_buckets(relative: Tensor, bidirectional: bool) -> Tensor:
    """T5's buckets of relative positions: one each for near ones, logarithmic for those beyond.

    Args:
        relative: int64, position of the key minus that of the query.
        bidirectional: whether keys may be after the query; they then have half of the buckets.

    Returns:
        int64 of the same shape, 0…31.
    """
    n_buckets = _POSITION_BUCKETS
    first = torch.zeros_like(relative)
    distance = (-relative).clamp(min=0)
    if bidirectional:
        n_buckets //= 2
        first = (relative > 0).long() * n_buckets
        distance = relative.abs()
    n_near = n_buckets // 2
    share = torch.log(distance.clamp(min=1).float() / n_near) / math.log(
        _FURTHEST_POSITION / n_near
    )
    far = (n_near + (share * (n_buckets - n_near)).long()).clamp(max=n_buckets - 1)
    return first + torch.where(distance < n_near, distance, far)


class PositionBias(nn.Module):
    """What a relative position adds to the scores of a stack's self-attentions."""

    def __init__(self, heads: int, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.weight = nn.Embedding(_POSITION_BUCKETS, heads)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[1, heads, q, k] for positions int64[q] and int64[k]."""
        buckets = position_buckets(keys - queries[:, None], self.bidirectional)
        return self.weight(buckets).permute(2, 0, 1).unsqueeze(0)


class Attention(nn.Module):
    """Multi-head attention without biases and without scaling."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.q = nn.Linear(config.width, inner, bias=False)
        self.k = nn.Linear(config.width, inner, bias=False)
        self.v = nn.Linear(config.width, inner, bias=False)
        self.out = nn.Linear(inner, config.width, bias=False)
        self.dropout = FastDropout(config.dropout)

    def _split(self, x: Tensor) -> Tensor:
        """[B, L, heads · head width] → [B, heads, L, head width]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, source: Tensor) -> KeysValues:
        """Of source [B, L, width]: [B, heads, L, head width] each."""
        return self._split(self.k(source)), self._split(self.v(source))

    def _weights(self, scores: Tensor, bias: Tensor) -> Tensor:
        return self.dropout((scores.float() + bias).softmax(-1)).to(scores.dtype)

    def forward(self, x: Tensor, source: KeysValues, bias: Tensor) -> Tensor:
        """Attend from x [B, q, width] to a source of k positions.

        Args:
            x: the queries: a sequence, or the beams of each user.
            source: keys and values [B, heads, k, head width].
            bias: float32, broadcastable to [B, heads, q, k]; −inf where there is nothing to see.

        Returns:
            [B, q, width].
        """
        keys, values = source
        weights = self._weights(self._split(self.q(x)) @ keys.transpose(-1, -2), bias)
        return self.out((weights @ values).transpose(1, 2).flatten(2))

    def extend(self, x: Tensor, own: KeysValues, bias: Tensor) -> tuple[Tensor, KeysValues]:
        """Attend from one new position of every beam, x [B, m, width], to it and those before.

        Args:
            x: the new positions.
            own: keys and values [B, heads, m, t, head width] of the beams' t earlier positions.
            bias: float32[1, heads, 1, t + 1].

        Returns:
            Output [B, m, width], and `own` with the new position: t + 1.
        """
        k, v = self.keys_values(x)
        own_k = torch.cat([own[0], k.unsqueeze(3)], dim=3)
        own_v = torch.cat([own[1], v.unsqueeze(3)], dim=3)
        weights = self._weights((self._split(self.q(x)).unsqueeze(3) * own_k).sum(-1), bias)
        mixed = (weights.unsqueeze(-1) * own_v).sum(3)
        return self.out(mixed.transpose(1, 2).flatten(2)), (own_k, own_v)


class Mlp(nn.Sequential):
    """Two layers without biases, with ReLU and dropout between them."""

    def __init__(self, config: T5Config) -> None:
        super().__init__(
            nn.Linear(config.width, config.mlp_width, bias=False),
            nn.ReLU(),
            FastDropout(config.dropout),
            nn.Linear(config.mlp_width, config.width, bias=False),
        )


def norm(config: T5Config) -> nn.RMSNorm:
    """T5's layer norm: no mean is subtracted, no bias added."""
    return nn.RMSNorm(config.width, eps=1e-6)


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each after a norm and added to the stream."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.norm_attention = norm(config)
        self.attention = Attention(config)
        self.norm_mlp = norm(config)
        self.mlp = Mlp(config)
        self.dropout = FastDropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """X [B, L, width] of the same shape; bias as in `Attention.forward`."""
        normed = self.norm_attention(x)
        attended = self.attention(normed, self.attention.keys_values(normed), bias)
        x = x + self.dropout(attended)
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the history and MLP."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.norm_attention = norm(config)
        self.attention = Attention(config)
        self.norm_history = norm(config)
        self.history_attention = Attention(config)
        self.norm_mlp = norm(config)
        self.mlp = Mlp(config)
        self.dropout = FastDropout(config.dropout)

    def _add(self, x: Tensor, attended: Tensor, history: KeysValues, padding: Tensor) -> Tensor:
        x = x + self.dropout(attended)
        x = x + self.dropout(self.history_attention(self.norm_history(x), history, padding))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))

    def forward(self, x: Tensor, bias: Tensor, history: KeysValues, padding: Tensor) -> Tensor:
        """All positions of x [B, T, width] at once; `bias` hides what comes later."""
        normed = self.norm_attention(x)
        attended = self.attention(normed, self.attention.keys_values(normed), bias)
        return self._add(x, attended, history, padding)

    def extend(
        self, x: Tensor, own: KeysValues, bias: Tensor, history: KeysValues, padding: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """One new position of every beam: see `Attention.extend`.

        The beams of a user are m queries on the one set of history keys, not m copies of it.
        """
        attended, own = self.attention.extend(self.norm_attention(x), own, bias)
        return self._add(x, attended, history, padding), own
