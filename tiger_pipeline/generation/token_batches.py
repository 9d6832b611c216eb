"""Token sequences as padded batches, to encode or to train on at every position."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.compute_device import copy_to
from tiger_pipeline.generation.tokens import PAD, TokenSequences


@dataclass
class TokenBatch:
    """Token sequences padded at the end to a common length.

    Attributes:
        tokens: int64[B, L], `PAD` after a sequence's end.
        item_positions: int64[B, L].
        lengths: int64[B], tokens of each sequence.
        n_items: int64[B], items of each sequence.
        target_rows: for each level, int64[m]: the positions, in the flattened batch, that predict
            a code of this level; their number differs from level to level.
        target_codes: for each level, int64[m]: the code to predict there.
        n_targets: predicted codes in all levels together.
    """

    tokens: Tensor
    item_positions: Tensor
    lengths: Tensor
    n_items: Tensor
    target_rows: list[Tensor]
    target_codes: list[Tensor]
    n_targets: int

    def to(self, device: torch.device) -> "TokenBatch":
        """The same batch on `device`."""
        return TokenBatch(
            copy_to(self.tokens, device),
            copy_to(self.item_positions, device),
            copy_to(self.lengths, device),
            copy_to(self.n_items, device),
            [copy_to(rows, device) for rows in self.target_rows],
            [copy_to(codes, device) for codes in self.target_codes],
            self.n_targets,
        )


class TokenExamples:
    """Token sequences from which padded batches are taken."""

    def __init__(
        self,
        sequences: TokenSequences,
        n_items: np.ndarray,
        level_offsets: Sequence[int],
        is_target: np.ndarray | None = None,
    ) -> None:
        """Take `sequences`, of `n_items` (int64[n]) items each, to encode or to train on.

        Args:
            sequences: n sequences.
            n_items: int64[n], items of each.
            level_offsets: the token of code 0 of each level.
            is_target: bool[total], which tokens a position has to predict; None: none.
        """
        # The last token of a training sequence is only a target: it predicts nothing.
        self.lengths = sequences.lengths - (is_target is not None)
        self._sequences = sequences
        self._n_items = n_items
        self._level_offsets = level_offsets
        self._is_target = is_target

    def batch(self, rows: np.ndarray) -> TokenBatch:
        """The sequences at `rows` (int[m]), padded to the longest of them."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max())
        inside = columns < lengths[:, None]
        source = np.where(inside, self._sequences.offsets[rows][:, None] + columns, 0)
        tokens = np.where(inside, self._sequences.tokens[source], PAD).astype(np.int64)
        positions = np.where(inside, self._sequences.item_positions[source], 0).astype(np.int64)
        target_rows, target_codes = self._targets(source, inside)
        return TokenBatch(
            tokens=torch.from_numpy(tokens),
            item_positions=torch.from_numpy(positions),
            lengths=torch.from_numpy(lengths),
            n_items=torch.from_numpy(self._n_items[rows]),
            target_rows=target_rows,
            target_codes=target_codes,
            n_targets=sum(len(codes) for codes in target_codes),
        )

    def _targets(self, source: np.ndarray, inside: np.ndarray) -> tuple[list[Tensor], list[Tensor]]:
        if self._is_target is None:
            return [], []
        following = np.where(inside, source + 1, 0)
        wanted = np.where(self._is_target[following], self._sequences.levels[following], -1)
        codes = self._sequences.tokens[following]
        target_rows, target_codes = [], []
        for level, offset in enumerate(self._level_offsets):
            rows = np.flatnonzero(wanted == level)
            target_rows.append(torch.from_numpy(rows))
            target_codes.append(torch.from_numpy(codes.ravel()[rows].astype(np.int64) - offset))
        return target_rows, target_codes
