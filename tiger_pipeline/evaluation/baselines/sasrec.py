"""SASRec with a full-softmax cross-entropy: a causal Transformer over items.

Kang & McAuley 2018 (arXiv:1808.09781), whose binary cross-entropy against one sampled negative
item is the reason why published SASRec rows are weak: the same network with the softmax over all
items at every position is one of the strongest baselines there are (Klenitskiy & Vasilev, RecSys
2023, arXiv:2309.07602). One vector an item reads it and scores it. The blocks are those of the
generator `decoder`.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, choose_device
from tiger_pipeline.evaluation.config import SasrecConfig
from tiger_pipeline.generation.beam_search import largest
from tiger_pipeline.generation.causal_blocks import Block
from tiger_pipeline.generation.config import DecoderConfig
from tiger_pipeline.generation.generator import Batch, TrainableNetwork
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations
from tiger_pipeline.generation.windows import most_recent, training_windows


@dataclass
class ItemBatch:
    """Item sequences padded at the end to a common length.

    Attributes:
        items: int64[B, L]: `Sasrec.begin`, then items, then `Sasrec.padding`.
        lengths: int64[B], positions of each sequence.
        target_rows: int64[m], positions of the flattened batch that predict the item after them.
        targets: int64[m], those items.
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
            self.items.to(device),
            self.lengths.to(device),
            self.target_rows.to(device),
            self.targets.to(device),
            self.n_targets,
        )


class ItemExamples:
    """Item sequences from which padded batches are taken, each opened by `begin`."""

    def __init__(
        self, items: np.ndarray, offsets: np.ndarray, is_target: np.ndarray | None, n_items: int
    ) -> None:
        """Take the sequences `items[offsets[i]:offsets[i + 1]]`.

        Args:
            items: int32[total], item indices.
            offsets: int64[n + 1].
            is_target: bool[total], which items the position before them predicts; None: none.
            n_items: size of the catalog.
        """
        self._items = np.append(items, 0).astype(np.int64)
        self._starts = offsets[:-1]
        self._is_target = None if is_target is None else np.append(is_target, False)
        self._n_items = n_items
        # The last item of a training sequence is only a target: it predicts nothing.
        self.lengths = np.diff(offsets) + (is_target is None)

    def batch(self, rows: np.ndarray) -> ItemBatch:
        """The sequences at `rows` (int[m]), padded to the longest of them."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max())
        inside = columns < lengths[:, None]
        following = np.where(inside, self._starts[rows][:, None] + columns, len(self._items) - 1)
        items = np.full(inside.shape, self._n_items + 1)
        items[:, 1:][inside[:, 1:]] = self._items[following[:, :-1][inside[:, 1:]]]
        items[:, 0] = self._n_items
        target_rows = np.zeros(0, dtype=np.int64)
        if self._is_target is not None:
            target_rows = np.flatnonzero(self._is_target[following] & inside)
        return ItemBatch(
            items=torch.from_numpy(items),
            lengths=torch.from_numpy(lengths),
            target_rows=torch.from_numpy(target_rows),
            targets=torch.from_numpy(self._items[following].ravel()[target_rows]),
            n_targets=len(target_rows),
        )


class Sasrec(TrainableNetwork):
    """The network.

    Attributes:
        begin: index after the items: opens every sequence, so that the first item is predicted
            from something, and an empty history has a position.
        padding: the index after it.
    """

    def __init__(self, config: SasrecConfig, n_items: int) -> None:
        super().__init__()
        self.config = config
        self.n_items = n_items
        self.begin, self.padding = n_items, n_items + 1
        block = DecoderConfig(
            width=config.width,
            heads=config.heads,
            mlp_ratio=config.mlp_ratio,
            dropout=config.dropout,
        )
        self.item_embedding = nn.Embedding(n_items + 2, config.width)
        self.position_embedding = nn.Embedding(config.history_items + 1, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(block) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.apply(self._initialize)

    def _initialize(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def training_examples(self, histories: Histories) -> ItemExamples:
        """Windows of at most `history_items` + 1 items (see `windows.training_windows`)."""
        windows = training_windows(histories, self.config.history_items)
        return ItemExamples(windows.items, windows.offsets, windows.is_target, self.n_items)

    def history_examples(self, histories: Histories) -> ItemExamples:
        """The most recent `history_items` items of each history."""
        recent = most_recent(histories, self.config.history_items)
        return ItemExamples(recent.items, recent.offsets, None, self.n_items)

    def hidden(self, items: Tensor) -> Tensor:
        """Last layer's vectors [B, L, width] of int64[B, L] items: each of those up to it."""
        positions = torch.arange(items.shape[1], device=items.device)
        x = self.dropout(self.item_embedding(items) + self.position_embedding(positions))
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)

    def item_logits(self, hidden: Tensor) -> Tensor:
        """Logits float32[..., n_items] of the next item, from hidden [..., width]."""
        return F.linear(hidden, self.item_embedding.weight[: self.n_items]).float()

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over all items, averaged over the targets of the batch."""
        assert isinstance(batch, ItemBatch)
        hidden = self.hidden(batch.items).flatten(0, 1)[batch.target_rows]
        return F.cross_entropy(self.item_logits(hidden), batch.targets)

    def next_item_logp(self, batch: ItemBatch) -> Tensor:
        """Log-probabilities float32[B, n_items] of the item after each sequence."""
        hidden = self.hidden(batch.items)
        last = hidden[torch.arange(len(hidden), device=hidden.device), batch.lengths - 1]
        return self.item_logits(last).log_softmax(-1)


def build_sasrec(config: SasrecConfig, n_items: int) -> Sasrec:
    """The network with fresh weights, drawn with `config.training.seed`, on the processor."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return Sasrec(config, n_items)


class SasrecRecommender:
    """Ranks the whole catalog by the probability of being the next item.

    Equal probabilities are ordered by ascending index.
    """

    def __init__(
        self, model: Sasrec, users_per_batch: int, device: ComputeDevice | None = None
    ) -> None:
        """Recommend with `model`.

        Args:
            model: moved to `device` and used as it is at the time of each call.
            users_per_batch: users scored together; bounds memory.
            device: default: a GPU where there is one.
        """
        self._device = device or choose_device()
        self._model = model.to(self._device.device)
        self._users_per_batch = users_per_batch

    @torch.inference_mode()
    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """The most probable items; see `Recommender.recommend`."""
        model = self._model.eval()
        examples = model.history_examples(histories)
        items = np.full((len(histories), top_k), NO_ITEM, dtype=np.int32)
        logp = np.full((len(histories), top_k), -np.inf, dtype=np.float32)
        with self._device.autocast():
            for start in range(0, len(histories), self._users_per_batch):
                rows = np.arange(start, min(start + self._users_per_batch, len(histories)))
                scores = model.next_item_logp(examples.batch(rows).to(self._device.device))
                if exclude_seen:
                    seen = histories.select(rows)
                    owners = np.repeat(np.arange(len(rows)), seen.lengths)
                    columns = torch.from_numpy(seen.items.astype(np.int64))
                    scores[torch.from_numpy(owners), columns] = -torch.inf
                best, found = largest(scores, min(top_k, model.n_items))
                found = found.masked_fill(best == -torch.inf, NO_ITEM)
                items[rows, : found.shape[1]] = found.cpu().numpy()
                logp[rows, : found.shape[1]] = best.cpu().numpy()
        return Recommendations(items, logp)
