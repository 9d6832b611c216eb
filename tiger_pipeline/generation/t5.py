"""TIGER as published: T5 from a history's semantic-ID tokens to those of the next item.

Rajput et al., NeurIPS 2023 (arXiv:2305.05065), §3.2: a bidirectional encoder reads the tokens of
the user's last items after one token for the user, a decoder writes the codes of the next item.
The network is T5, weight for weight that of `transformers`, to which the tests compare it: its
layers are in `t5_layers`, its embeddings are tied to the output. It is written here because beams
share their user's encoded history, which `transformers` copies for each of them.

One training example is a pair of a target and the items before it: every interaction is the target
of one pair. That is many more passes over the same items than `decoder.Decoder` needs, the price
of an encoder that sees both directions.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.config import T5Config
from tiger_pipeline.generation.fast_dropout import FastDropout
from tiger_pipeline.generation.generator import Batch, Generator
from tiger_pipeline.generation.pair_batches import NO_CODE, PairBatch, PairExamples
from tiger_pipeline.generation.t5_layers import (
    DecoderLayer,
    EncoderLayer,
    KeysValues,
    PositionBias,
    norm,
)
from tiger_pipeline.generation.tokens import BEGIN, ItemTokenizer
from tiger_pipeline.semantic_ids.table import SemanticIds


class T5(Generator):
    """The network."""

    config: T5Config

    def __init__(self, config: T5Config, semantic_ids: SemanticIds) -> None:
        tokenizer = ItemTokenizer(semantic_ids)
        super().__init__(config, semantic_ids, tokenizer.vocabulary.codebook_sizes)
        self.tokenizer = tokenizer
        self.level_offsets = tokenizer.vocabulary.level_offsets
        self.first_user_token = tokenizer.vocabulary.size
        self.token_embedding = nn.Embedding(
            tokenizer.vocabulary.size + config.user_tokens, config.width
        )
        self.encoder_positions = PositionBias(config.heads, bidirectional=True)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.encoder_norm = norm(config)
        self.decoder_positions = PositionBias(config.heads, bidirectional=False)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.decoder_norm = norm(config)
        self.dropout = FastDropout(config.dropout)
        self._initialize()

    def _initialize(self) -> None:
        """T5's own scales: without scaled attention scores, queries start that much smaller."""
        nn.init.normal_(self.token_embedding.weight)
        for positions in (self.encoder_positions, self.decoder_positions):
            nn.init.normal_(positions.weight.weight, std=self.config.width**-0.5)
        for name, weight in self.named_parameters():
            if weight.ndim == 2 and name.split(".")[0] in ("encoder", "decoder"):
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
                if name.endswith(".q.weight"):
                    weight.data *= self.config.head_width**-0.5

    def _opening_tokens(self, users: np.ndarray) -> np.ndarray:
        """int64[n], the token of each user (int32[n]), or the one that opens all sequences."""
        if not self.config.user_tokens:
            return np.full(len(users), BEGIN, dtype=np.int64)
        # Indices of users are consecutive: the remainder spreads them as evenly as can be.
        return self.first_user_token + users.astype(np.int64) % self.config.user_tokens

    def _read_catalog(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None) -> None:
        self.tokenizer = ItemTokenizer(semantic_ids)

    def training_examples(self, histories: Histories) -> PairExamples:
        """Each interaction as the target of the at most `history_items` items before it.

        A user's first interaction is predicted from the user alone.
        """
        first = np.repeat(histories.offsets[:-1], histories.lengths)
        targets = np.arange(len(histories.items))
        starts = np.maximum(first, targets - self.config.history_items)
        openings = np.repeat(self._opening_tokens(histories.users), histories.lengths)
        return PairExamples(self.tokenizer, histories.items, starts, targets, openings, True)

    def history_examples(self, histories: Histories) -> PairExamples:
        """The most recent `history_items` items of each history."""
        stops = histories.offsets[1:]
        starts = np.maximum(histories.offsets[:-1], stops - self.config.history_items)
        openings = self._opening_tokens(histories.users)
        return PairExamples(self.tokenizer, histories.items, starts, stops, openings, False)

    def encode_history(self, batch: PairBatch) -> tuple[list[KeysValues], Tensor]:
        """Run histories through the encoder.

        Returns:
            For each decoder layer, keys and values [B, heads, L, head width] of the history; and
            float32[B, 1, 1, L], −inf where a history has no token.
        """
        positions = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)
        absent = (positions >= batch.lengths[:, None])[:, None, None]
        padding = torch.zeros(absent.shape, device=absent.device).masked_fill(absent, -torch.inf)
        bias = self.encoder_positions(positions, positions).float() + padding
        x = self.dropout(self.token_embedding(batch.tokens))
        for layer in self.encoder:
            x = layer(x, bias)
        encoded = self.dropout(self.encoder_norm(x))
        layers = self.decoder_layers()
        return [layer.history_attention.keys_values(encoded) for layer in layers], padding

    def decoder_layers(self) -> list[DecoderLayer]:
        """The decoder's layers, from the bottom up."""
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

    def code_logits(self, hidden: Tensor, level: int) -> Tensor:
        """Logits [..., codes] over the codes of one level, from the decoder's hidden [..., width].

        T5's published form takes the softmax over all tokens; which level follows is no question
        here, so it is taken over that level.
        """
        start = self.level_offsets[level]
        codes = self.token_embedding.weight[start : start + self.codebook_sizes[level]]
        return F.linear(hidden * self.config.width**-0.5, codes)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over each code's own level, averaged over all codes of the batch."""
        assert isinstance(batch, PairBatch)
        history, padding = self.encode_history(batch)
        begin = torch.full_like(batch.target_tokens[:, :1], BEGIN)
        tokens = torch.cat([begin, batch.target_tokens[:, :-1]], dim=1)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        later = positions > positions[:, None]
        bias = self.decoder_positions(positions, positions).float()
        bias = bias.masked_fill(later, -torch.inf)
        x = self.dropout(self.token_embedding(tokens))
        for layer, keys_values in zip(self.decoder, history, strict=True):
            x = layer(x, bias, keys_values, padding)
        hidden = self.dropout(self.decoder_norm(x))
        total = hidden.new_zeros((), dtype=torch.float32)
        for level in range(tokens.shape[1]):
            logits = self.code_logits(hidden[:, level], level).float()
            codes = batch.target_codes[:, level]
            total = total + F.cross_entropy(logits, codes, ignore_index=NO_CODE, reduction="sum")
        return total / batch.n_targets

    def encode(self, batch: Batch) -> "T5Prefixes":
        """Run each user's history through the encoder once, and the decoder's first position."""
        assert isinstance(batch, PairBatch)
        history, padding = self.encode_history(batch)
        nothing = [(k.unsqueeze(3)[:, :, :1, :0], v.unsqueeze(3)[:, :, :1, :0]) for k, v in history]
        begin = torch.full_like(batch.tokens[:, :1], BEGIN)
        return T5Prefixes.after(self, begin, nothing, history, padding)


@dataclass
class T5Prefixes:
    """Beams over a `T5`: the histories' keys and values, once, and the beams' own few.

    Attributes:
        model: the network.
        logp: float32[B, m, codes].
        own: for each layer, keys and values [B, heads, m, level + 1, head width] of the decoder's
            positions so far.
        history: for each layer, keys and values [B, heads, L, head width].
        padding: float32[B, 1, 1, L], −inf where a history has no token.
    """

    model: T5
    logp: Tensor
    own: list[KeysValues]
    history: list[KeysValues]
    padding: Tensor

    @classmethod
    def after(
        cls,
        model: T5,
        tokens: Tensor,
        own: list[KeysValues],
        history: list[KeysValues],
        padding: Tensor,
    ) -> "T5Prefixes":
        """Prefixes whose latest token, int64[B, m], comes after the positions in `own`."""
        level = own[0][0].shape[3]
        positions = torch.arange(level + 1, device=tokens.device)
        bias = model.decoder_positions(positions[-1:], positions).float()
        x = model.dropout(model.token_embedding(tokens))
        longer = []
        for layer, before, keys_values in zip(model.decoder_layers(), own, history, strict=True):
            x, extended = layer.extend(x, before, bias, keys_values, padding)
            longer.append(extended)
        hidden = model.dropout(model.decoder_norm(x))
        logp = model.code_logits(hidden, level).float().log_softmax(-1)
        return cls(model, logp, longer, history, padding)

    def extend(self, parents: Tensor, codes: Tensor) -> "T5Prefixes":
        """See `Prefixes.extend`."""
        level = self.own[0][0].shape[3] - 1
        tokens = codes + self.model.level_offsets[level]
        picked = parents[:, None, :, None, None]
        own = [
            (
                k.gather(2, picked.expand(-1, k.shape[1], -1, *k.shape[3:])),
                v.gather(2, picked.expand(-1, v.shape[1], -1, *v.shape[3:])),
            )
            for k, v in self.own
        ]
        return T5Prefixes.after(self.model, tokens, own, self.history, self.padding)
