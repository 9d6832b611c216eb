"""A decoder-only Transformer over semantic-ID tokens.

The history is one sequence of tokens, the codes of its items one after another, and each token is
predicted from those before it: SASRec (Kang & McAuley 2018, arXiv:1808.09781) over the codes of
items instead of the items themselves. The loss is at every position, so one pass over a history
trains on all of its interactions, where an encoder-decoder sees one target a pass.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.causal_blocks import ExtendableBlock, KeysValues
from tiger_pipeline.generation.config import DecoderConfig
from tiger_pipeline.generation.generator import Batch, Generator
from tiger_pipeline.generation.token_batches import TokenBatch, TokenExamples
from tiger_pipeline.generation.tokens import ItemTokenizer
from tiger_pipeline.generation.windows import most_recent, training_windows
from tiger_pipeline.semantic_ids.table import SemanticIds


class Decoder(Generator):
    """The network. An item's j-th code is predicted from all codes before it, its own included."""

    config: DecoderConfig
    level_of_token: Tensor

    def __init__(self, config: DecoderConfig, semantic_ids: SemanticIds) -> None:
        tokenizer = ItemTokenizer(semantic_ids)
        super().__init__(config, semantic_ids, tokenizer.vocabulary.codebook_sizes)
        self.tokenizer = tokenizer
        self.level_offsets = tokenizer.vocabulary.level_offsets
        n_levels = len(self.codebook_sizes)
        level_of_token = np.full(tokenizer.vocabulary.size, n_levels)
        for level, (offset, size) in enumerate(
            zip(self.level_offsets, self.codebook_sizes, strict=True)
        ):
            level_of_token[offset : offset + size] = level
        self.register_buffer("level_of_token", torch.from_numpy(level_of_token), persistent=False)

        # The same vectors read a code and score it: half the parameters, and rare codes learn
        # from both sides.
        self.token_embedding = nn.Embedding(tokenizer.vocabulary.size, config.width)
        self.level_embedding = nn.Embedding(n_levels + 1, config.width)
        # One position more than the history: that of the item that comes after it.
        self.position_embedding = nn.Embedding(config.history_items + 1, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(ExtendableBlock(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.code_bias = nn.Parameter(torch.zeros(tokenizer.vocabulary.size))
        self.apply(self._initialize)

    def _initialize(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def _read_catalog(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None) -> None:
        self.tokenizer = ItemTokenizer(semantic_ids)

    def training_examples(self, histories: Histories) -> TokenExamples:
        """Windows of at most `history_items` + 1 items (see `windows.training_windows`)."""
        windows = training_windows(histories, self.config.history_items)
        sequences = self.tokenizer.tokenize(windows.items, windows.offsets)
        is_target = np.zeros(len(sequences.tokens), dtype=bool)
        is_target[sequences.levels >= 0] = np.repeat(
            windows.is_target, self.tokenizer.item_lengths[windows.items]
        )
        return TokenExamples(sequences, np.diff(windows.offsets), self.level_offsets, is_target)

    def history_examples(self, histories: Histories) -> TokenExamples:
        """The most recent `history_items` items of each history."""
        recent = most_recent(histories, self.config.history_items)
        sequences = self.tokenizer.tokenize(recent.items, recent.offsets)
        return TokenExamples(sequences, recent.lengths, self.level_offsets)

    def embed(self, tokens: Tensor, item_positions: Tensor) -> Tensor:
        """Input vectors [..., width] of tokens (int64[...]) at their items' positions."""
        return self.dropout(
            self.token_embedding(tokens)
            + self.level_embedding(self.level_of_token[tokens])
            + self.position_embedding(item_positions)
        )

    def hidden(self, tokens: Tensor, item_positions: Tensor) -> Tensor:
        """Last layer's vectors [B, L, width] of int64[B, L] tokens."""
        x = self.embed(tokens, item_positions)
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)

    def code_logits(self, hidden: Tensor, level: int) -> Tensor:
        """Logits [..., codes] over the codes of one level, from hidden [..., width]."""
        codes = slice(
            self.level_offsets[level], self.level_offsets[level] + self.codebook_sizes[level]
        )
        return F.linear(hidden, self.token_embedding.weight[codes], self.code_bias[codes])

    def code_logp(self, hidden: Tensor, level: int) -> Tensor:
        """Log-probabilities float32[..., codes] over the codes of one level."""
        return self.code_logits(hidden, level).float().log_softmax(-1)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over each target's own level, averaged over all codes of the batch."""
        assert isinstance(batch, TokenBatch)
        hidden = self.hidden(batch.tokens, batch.item_positions).flatten(0, 1)
        total = hidden.new_zeros((), dtype=torch.float32)
        for level, (rows, codes) in enumerate(
            zip(batch.target_rows, batch.target_codes, strict=True)
        ):
            logits = self.code_logits(hidden[rows], level)
            total = total + F.cross_entropy(logits.float(), codes, reduction="sum")
        return total / batch.n_targets

    def layers(self) -> list[ExtendableBlock]:
        """The blocks, from the bottom up."""
        return [block for block in self.blocks if isinstance(block, ExtendableBlock)]

    def encode(self, batch: Batch) -> "DecoderPrefixes":
        """Run each user's history through the network once."""
        assert isinstance(batch, TokenBatch)
        x = self.embed(batch.tokens, batch.item_positions)
        history: list[KeysValues] = []
        *below, top = self.layers()
        for block in below:
            x, keys_values = block(x)
            history.append(keys_values)
        # Of the top block, only the last position's output is needed.
        history.append(top.attention.keys_values(top.norm_attention(x)))
        no_codes = [
            (k.unsqueeze(3)[:, :, :1, :0], v.unsqueeze(3)[:, :, :1, :0]) for k, v in history
        ]
        last = x[torch.arange(len(x), device=x.device), batch.lengths - 1].unsqueeze(1)
        positions = torch.arange(x.shape[1], device=x.device)
        before_last = _mask(positions >= batch.lengths[:, None] - 1)
        last, _ = top.extend(last, history[-1], before_last, no_codes[-1])
        padding = _mask(positions >= batch.lengths[:, None])
        logp = self.code_logp(self.norm(last), 0)
        return DecoderPrefixes(self, 0, logp, history, padding, batch.n_items, no_codes)


def _mask(absent: Tensor) -> Tensor:
    """bool[B, L] → bool[B, 1, 1, L], for all heads and queries."""
    return absent[:, None, None]


@dataclass
class DecoderPrefixes:
    """Beams over a `Decoder`: the histories' keys and values, once, and the beams' own few.

    Attributes:
        model: the network.
        level: level of the codes that `logp` is about.
        logp: float32[B, m, codes].
        history: for each block, keys and values [B, heads, L, head width].
        padding: bool[B, 1, 1, L], True where the history has no token.
        n_items: int64[B], items of the history, hence the position of the item to come.
        own: for each block, keys and values [B, heads, m, level, head width].
    """

    model: Decoder
    level: int
    logp: Tensor
    history: list[KeysValues]
    padding: Tensor
    n_items: Tensor
    own: list[KeysValues]

    def extend(self, parents: Tensor, codes: Tensor) -> "DecoderPrefixes":
        """See `Prefixes.extend`."""
        tokens = codes + self.model.level_offsets[self.level]
        x = self.model.embed(tokens, self.n_items[:, None].expand_as(tokens))
        own = []
        for block, history, (k, v) in zip(self.model.layers(), self.history, self.own, strict=True):
            picked = parents[:, None, :, None, None].expand(-1, k.shape[1], -1, *k.shape[3:])
            before = (k.gather(2, picked), v.gather(2, picked))
            x, keys_values = block.extend(x, history, self.padding, before)
            own.append(keys_values)
        logp = self.model.code_logp(self.model.norm(x), self.level + 1)
        return DecoderPrefixes(
            self.model, self.level + 1, logp, self.history, self.padding, self.n_items, own
        )
