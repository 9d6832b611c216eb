"""A light head that generates codes level by level: one MLP a level, no attention."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class CodeHead(nn.Module):
    """Scores the codes of each level from a context and the codes before.

    The MLP of a level reads the context and the sum of the embeddings of the codes before. Its
    first layer is linear in both, so a user's share of it is computed once for all beams.
    """

    def __init__(self, width: int, inner: int, codebook_sizes: Sequence[int], dropout: float):
        super().__init__()
        self.read_context = nn.ModuleList(nn.Linear(width, inner) for _ in codebook_sizes)
        # The first level has no codes before it.
        self.read_codes = nn.ModuleList(
            nn.Linear(width, inner, bias=False) for _ in codebook_sizes[1:]
        )
        self.score = nn.ModuleList(nn.Linear(inner, size) for size in codebook_sizes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, level: int, context: Tensor, codes_before: Tensor | None) -> Tensor:
        """Logits of the codes of one level.

        Args:
            level: from 0.
            context: [..., width].
            codes_before: [..., width], broadcastable to the context's shape: the summed
                embeddings of the codes of the levels before; None for level 0.

        Returns:
            Logits [..., codes].
        """
        inner = self.read_context[level](context)
        if codes_before is not None:
            inner = inner + self.read_codes[level - 1](codes_before)
        return self.score[level](self.dropout(F.gelu(inner)))
