"""SASRec with a full-softmax cross-entropy: a causal Transformer over items.

Kang & McAuley 2018 (arXiv:1808.09781), whose binary cross-entropy against one sampled negative
item is the reason why published SASRec rows are weak: the same network with the softmax over all
items at every position is one of the strongest baselines there are (Klenitskiy & Vasilev, RecSys
2023, arXiv:2309.07602). One vector an item reads it and scores it. The blocks are those of the
generator `decoder`.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, choose_device, explain_out_of_memory
from tiger_pipeline.evaluation.config import SasrecConfig
from tiger_pipeline.generation.causal_blocks import Block
from tiger_pipeline.generation.config import DecoderConfig
from tiger_pipeline.generation.exact_ranking import ADVICE_ON_MEMORY, best_of_all
from tiger_pipeline.generation.generator import Batch, TrainableNetwork
from tiger_pipeline.generation.item_batches import ItemBatch, ItemExamples
from tiger_pipeline.generation.recommendations import Recommendations
from tiger_pipeline.generation.windows import most_recent, training_windows


class Sasrec(TrainableNetwork):
    """The network."""

    def __init__(self, config: SasrecConfig, n_items: int) -> None:
        super().__init__()
        self.config = config
        self.n_items = n_items
        block = DecoderConfig(
            width=config.width,
            heads=config.heads,
            mlp_ratio=config.mlp_ratio,
            dropout=config.dropout,
        )
        # The last vector opens every sequence, so that the first item is predicted from something.
        self.item_embedding = nn.Embedding(n_items + 1, config.width)
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
        return ItemExamples(windows.offsets, windows.items, windows.is_target)

    def history_examples(self, histories: Histories) -> ItemExamples:
        """The most recent `history_items` items of each history."""
        recent = most_recent(histories, self.config.history_items)
        return ItemExamples(recent.offsets, recent.items)

    def hidden(self, items: Tensor) -> Tensor:
        """Last layer's vectors [B, L + 1, width] after reading 0, 1, … L of int64[B, L] items."""
        x = self.item_embedding(F.pad(items, (1, 0), value=self.n_items))
        x = self.dropout(x + self.position_embedding.weight[: x.shape[1]])
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
        last = hidden[torch.arange(len(hidden), device=hidden.device), batch.lengths]
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

    @explain_out_of_memory(ADVICE_ON_MEMORY)
    @torch.inference_mode()
    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """The most probable items; see `Recommender.recommend`."""
        items = np.empty((len(histories), top_k), dtype=np.int32)
        logp = np.empty((len(histories), top_k), dtype=np.float32)
        for rows, scores in self._item_logp(histories):
            found = best_of_all(scores, histories.select(rows), top_k, exclude_seen)
            items[rows], logp[rows] = found.items, found.logp
        return Recommendations(items, logp)

    @explain_out_of_memory(ADVICE_ON_MEMORY)
    @torch.inference_mode()
    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """See `PoolRecommender.logp`."""
        logp = np.empty(items.shape, dtype=np.float32)
        for rows, scores in self._item_logp(histories):
            pool = torch.from_numpy(items[rows].astype(np.int64)).to(scores.device)
            logp[rows] = scores.gather(1, pool).cpu().numpy()
        return logp

    def _item_logp(self, histories: Histories) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Rows int64[n] of `histories` and log-probabilities float32[n, n_items], by batches."""
        model = self._model.eval()
        examples = model.history_examples(histories)
        with self._device.autocast():
            for start in range(0, len(histories), self._users_per_batch):
                rows = np.arange(start, min(start + self._users_per_batch, len(histories)))
                yield rows, model.next_item_logp(examples.batch(rows).to(self._device.device))
