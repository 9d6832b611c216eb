"""Item sequences as padded batches, to encode or to train on at every position."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.compute_device import copy_to


@dataclass
class ItemBatch:
    """Item sequences padded at the end to a common length.

    A network that reads them has L + 1 positions: position p has read p items and predicts the
    next one.

    Attributes:
        items: int64[B, L], the items read; 0 after a sequence's end.
        lengths: int64[B], items read of each sequence, 0 … L.
        target_rows: int64[m], the positions, in the flattened [B, L + 1], that predict an item.
        targets: int64[m], the item to predict there.
        n_targets: m.
    """

    items: Tensor
    lengths: Tensor
    target_rows: Tensor
    targets: Tensor
    n_targets: int

    def to(self, device: torch.device) -> "ItemBatch":
        """The same batch on `device`."""
        return ItemBatch(
            copy_to(self.items, device),
            copy_to(self.lengths, device),
            copy_to(self.target_rows, device),
            copy_to(self.targets, device),
            self.n_targets,
        )


class ItemExamples:
    """Item sequences from which padded batches are taken."""

    def __init__(
        self, offsets: np.ndarray, items: np.ndarray, is_target: np.ndarray | None = None
    ) -> None:
        """Take sequences to encode or to train on.

        Args:
            offsets: int64[n + 1]; sequence i is `items[offsets[i]:offsets[i + 1]]`.
            items: int32[total], item indices.
            is_target: bool[total], which items have to be predicted from those before them. None:
                none, and the sequences are read to their end.
        """
        self._offsets = offsets
        self._items = items
        self._is_target = is_target
        # The last item of a training sequence is only a target: it is not read.
        self._items_read = np.diff(offsets) - (is_target is not None)
        self.lengths = self._items_read + 1

    def batch(self, rows: np.ndarray) -> ItemBatch:
        """The sequences at `rows` (int[m]), padded to the longest of them."""
        items_read = self._items_read[rows]
        columns = np.arange(items_read.max())
        inside = columns < items_read[:, None]
        source = np.where(inside, self._offsets[rows][:, None] + columns, 0)
        items = self._items[source] if len(self._items) else source
        target_rows, targets = self._targets(rows, len(columns) + 1)
        return ItemBatch(
            items=torch.from_numpy(np.where(inside, items, 0).astype(np.int64)),
            lengths=torch.from_numpy(items_read),
            target_rows=torch.from_numpy(target_rows),
            targets=torch.from_numpy(targets),
            n_targets=len(targets),
        )

    def _targets(self, rows: np.ndarray, n_positions: int) -> tuple[np.ndarray, np.ndarray]:
        if self._is_target is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        positions = np.arange(n_positions)
        inside = positions < self.lengths[rows][:, None]
        source = np.where(inside, self._offsets[rows][:, None] + positions, 0)
        wanted = np.flatnonzero(inside & self._is_target[source])
        return wanted, self._items[source.ravel()[wanted]].astype(np.int64)
