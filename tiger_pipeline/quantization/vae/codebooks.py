"""Codebooks as they are trained: by gradient, by moving averages, frozen under a learned map."""

import math
from typing import Literal

import torch
from torch import Tensor, nn


class LearnedCodebook(nn.Module):
    """Codewords that the codebook loss moves towards the vectors assigned to them.

    Attributes:
        codewords: float32[k, d].
    """

    def __init__(self, codewords: int, dimension: int) -> None:
        super().__init__()
        self.codewords = nn.Parameter(torch.randn(codewords, dimension) / math.sqrt(dimension))

    def forward(self) -> Tensor:
        """float32[k, d], the codewords, with their gradient."""
        return self.codewords

    @torch.no_grad()
    def start_from(self, codewords: Tensor) -> None:
        """Start training from `codewords` (float32[k, d])."""
        self.codewords.copy_(codewords)

    def observe(self, vectors: Tensor, codes: Tensor) -> None:
        """Learn from a batch without a gradient: nothing, here.

        Args:
            vectors: float32[n, d].
            codes: int64[n], the codewords that they were assigned to.
        """

    @torch.no_grad()
    def restart(self, unused: Tensor, vectors: Tensor) -> None:
        """Put the codewords where `unused` (bool[k]) onto the same rows of `vectors` [k, d]."""
        self.codewords.copy_(torch.where(unused[:, None], vectors, self.codewords))


class EmaCodebook(nn.Module):
    """Codewords that are moving averages of the vectors assigned to them.

    Van den Oord et al., "Neural discrete representation learning" (2017), appendix A.1.

    Attributes:
        codewords: float32[k, d].
        counts: float32[k], moving average of the number of vectors a batch.
        sums: float32[k, d], that of their sum.
    """

    codewords: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codewords: int, dimension: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        start = torch.randn(codewords, dimension) / math.sqrt(dimension)
        self.register_buffer("codewords", start)
        self.register_buffer("counts", torch.ones(codewords))
        self.register_buffer("sums", start.clone())

    def forward(self) -> Tensor:
        """float32[k, d], the codewords, without a gradient."""
        return self.codewords

    def start_from(self, codewords: Tensor) -> None:
        """Start training from `codewords` (float32[k, d]), each as if it were one vector."""
        self.codewords.copy_(codewords)
        self.counts.fill_(1)
        self.sums.copy_(codewords)

    @torch.no_grad()
    def observe(self, vectors: Tensor, codes: Tensor) -> None:
        """Move the averages by one batch: `vectors` float32[n, d], `codes` int64[n]."""
        batch_counts = torch.zeros_like(self.counts).index_add_(
            0, codes, torch.ones_like(vectors[:, 0])
        )
        batch_sums = torch.zeros_like(self.sums).index_add_(0, codes, vectors)
        self.counts.lerp_(batch_counts, 1 - self.decay)
        self.sums.lerp_(batch_sums, 1 - self.decay)
        # Sum and count of a codeword that gets nothing vanish together; it stays where it is.
        alive = self.counts > torch.finfo(torch.float32).eps
        means = self.sums / self.counts.clamp_min(torch.finfo(torch.float32).eps)[:, None]
        self.codewords.copy_(torch.where(alive[:, None], means, self.codewords))

    def restart(self, unused: Tensor, vectors: Tensor) -> None:
        """Put the codewords where `unused` (bool[k]) onto the same rows of `vectors` [k, d]."""
        self.codewords.copy_(torch.where(unused[:, None], vectors, self.codewords))
        self.counts.masked_fill_(unused, 1)
        self.sums.copy_(torch.where(unused[:, None], vectors, self.sums))


class SimVqCodebook(nn.Module):
    """A frozen codebook under a learned linear map, which moves all codewords at once.

    Zhu et al., "Addressing representation collapse in vector quantized models with one linear
    layer" (2024). Frozen codewords cannot be put elsewhere, so nothing restarts.

    Attributes:
        frozen: float32[k, d].
        map: float32[d, d], the identity at first.
    """

    frozen: Tensor

    def __init__(self, codewords: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("frozen", torch.randn(codewords, dimension) / math.sqrt(dimension))
        self.map = nn.Parameter(torch.eye(dimension))

    def forward(self) -> Tensor:
        """float32[k, d], the mapped codewords, with the gradient of the map."""
        return self.frozen @ self.map

    def start_from(self, codewords: Tensor) -> None:
        """Freeze `codewords` (float32[k, d]) instead of random ones."""
        self.frozen.copy_(codewords)

    def observe(self, vectors: Tensor, codes: Tensor) -> None:
        """Learn from a batch without a gradient: nothing, here."""

    def restart(self, unused: Tensor, vectors: Tensor) -> None:
        """Nothing: the codewords are frozen."""


Codebook = LearnedCodebook | EmaCodebook | SimVqCodebook


def build_codebook(
    kind: Literal["learned", "ema", "simvq"], codewords: int, dimension: int, ema_decay: float
) -> Codebook:
    """A codebook of random codewords of about unit length."""
    if kind == "learned":
        return LearnedCodebook(codewords, dimension)
    if kind == "ema":
        return EmaCodebook(codewords, dimension, ema_decay)
    return SimVqCodebook(codewords, dimension)
