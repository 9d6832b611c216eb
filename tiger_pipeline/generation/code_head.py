"""A light head that generates codes level by level: one MLP a level, no attention."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_INITIAL_SCALE = 10.0
_INITIAL_LEADS_ON = 2.0


class CodeHead(nn.Module):
    """Scores the codes of each level from a context and the codes before.

    The MLP of a level reads the context and the sum of the embeddings of the codes before. Its
    first layer is linear in both, so a user's share of it is computed once for all beams.

    Beside the MLP, which knows codes by number, it asks for what is behind a code: the user's
    query of the level is compared with the keys of the prefixes (`prefix_keys`).

    Attributes:
        leads_on: [levels], added to the logits of codes that some item has after those before.
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
        self.ask_below = nn.ModuleList(nn.Linear(width, width) for _ in codebook_sizes)
        self.log_scale = nn.Parameter(torch.full((len(codebook_sizes),), math.log(_INITIAL_SCALE)))
        self.leads_on = nn.Parameter(torch.full((len(codebook_sizes),), _INITIAL_LEADS_ON))

    def queries(self, level: int, context: Tensor) -> Tensor:
        """The user's side of the comparison with keys: contexts [..., width] as scaled directions.

        The same shape.
        """
        directions = F.normalize(self.ask_below[level](context), dim=-1)
        return directions * self.log_scale[level].exp()

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
