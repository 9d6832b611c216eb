"""A Transformer over items, one position an item, with two heads: codes, and items themselves.

What a position reads is the item's own learned vector, the sum of its codes' embeddings and its
projected text embedding; an item whose own vector is unknown still has the other two. Every
position predicts the next item twice:

- the code head generates its semantic ID level by level from the context, the codes before, and
  what lies behind each code that may follow, so that a beam costs no attention;
- the dense head scores all items at once by the cosine of context and item vector over a learned
  temperature, trained by the full softmax over the catalog.

The blocks are `SmoothedBlock`s: averages over the recent past stand beside attention. Beside them,
a context holds what tends to follow the last items: a second learned vector an item, summed with
weights that fall with age. So a pair of items that was seen once or twice can be learned by heart
without passing through attention, as in a factorized Markov chain.

A position an item instead of one a code makes the sequences three to four times shorter than a
`Decoder`'s. Sources of the parts: SASRec (Kang & McAuley 2018, arXiv:1808.09781) with full
cross-entropy; a filter beside attention as in BSARec (Shin et al. 2024, arXiv:2312.10325), but a
causal one; generation and dense retrieval by one network as in LIGER (Yang et al. 2024,
arXiv:2411.18814) and COBRA (Yang et al. 2025, arXiv:2503.02453); Markov chains in factors
(FPMC, Rendle et al. 2010) over several last items (Fossil, He & McAuley 2016, arXiv:1609.09152).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.code_head import CodeHead
from tiger_pipeline.generation.config import ItemDecoderConfig
from tiger_pipeline.generation.full_softmax import full_softmax_loss
from tiger_pipeline.generation.generator import Batch, DenseGenerator
from tiger_pipeline.generation.item_batches import ItemBatch, ItemExamples
from tiger_pipeline.generation.item_catalog import ItemCatalog
from tiger_pipeline.generation.prefix_keys import add_child_scores, prefix_keys
from tiger_pipeline.generation.smoothed_blocks import SmoothedBlock, weights_by_age
from tiger_pipeline.generation.tokens import BEGIN
from tiger_pipeline.generation.windows import most_recent, training_windows
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import ROOT

_INITIAL_STD = 0.02
_INITIAL_TEMPERATURE = 0.06


class ItemDecoder(DenseGenerator):
    """The network; see the module."""

    config: ItemDecoderConfig

    def __init__(
        self,
        config: ItemDecoderConfig,
        semantic_ids: SemanticIds,
        text_embeddings: np.ndarray,
        catalog: ItemCatalog | None = None,
    ) -> None:
        """A network with fresh weights.

        Args:
            config: settings.
            semantic_ids: of the catalog.
            text_embeddings: float32[n_items, d], in the order of `semantic_ids`; never trained.
            catalog: made of these two, to be shared with other networks; default: one of its own.
        """
        catalog = catalog or ItemCatalog(semantic_ids, text_embeddings)
        super().__init__(config, semantic_ids, catalog.vocabulary.codebook_sizes)
        self.catalog = catalog
        self.levels = semantic_ids.levels
        self.level_offsets = catalog.vocabulary.level_offsets

        width = config.width
        self.item_embedding = nn.Embedding(self.n_items, width)
        self.token_embedding = nn.Embedding(catalog.vocabulary.size, width)
        self.text_projection = nn.Linear(text_embeddings.shape[1], width, bias=False)
        self.position_embedding = nn.Embedding(config.history_items + 1, width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            SmoothedBlock(config, config.smoothing_share) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.following_embedding = nn.Embedding(self.n_items, width)
        self.following_dropout = nn.Dropout(config.following_dropout)
        self.following_decay = nn.Parameter(torch.zeros(()))  # in logits: starts at a half
        inner = int(config.head_ratio * width)
        self.code_head = CodeHead(width, inner, self.codebook_sizes, config.dropout)
        self.dense_query = nn.Linear(width, width)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_INITIAL_TEMPERATURE)))
        self.apply(self._initialize)
        # Standardized text then weighs as much in an item's vector as each of its other parts.
        text_std = _INITIAL_STD / math.sqrt(text_embeddings.shape[1])
        nn.init.normal_(self.text_projection.weight, std=text_std)

    def _initialize(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=_INITIAL_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    @property
    def text_embeddings(self) -> np.ndarray:
        """See `Generator.text_embeddings`."""
        return self.catalog.text_embeddings

    def _read_catalog(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None) -> None:
        self.catalog.grow(semantic_ids, text_embeddings)

    def training_examples(self, histories: Histories) -> ItemExamples:
        """Windows of at most `history_items` + 1 items (see `windows.training_windows`)."""
        windows = training_windows(histories, self.config.history_items)
        return ItemExamples(windows.offsets, windows.items, windows.is_target)

    def history_examples(self, histories: Histories) -> ItemExamples:
        """The most recent `history_items` items of each history."""
        recent = most_recent(histories, self.config.history_items)
        return ItemExamples(recent.offsets, recent.items)

    def item_vectors(self, known: Tensor | None = None) -> Tensor:
        """Vectors [n_items + n_cold_items, width] by which items are read and, densely, scored.

        A cold item has no vector of its own: its codes and its text are all that is known.

        Args:
            known: bool[n_items], False for items that are to be seen by their codes and text
                alone; None: all are known.
        """
        own = self.item_embedding.weight
        if known is not None:
            own = own * known.unsqueeze(-1)
        codes = self.token_embedding(self.catalog.tokens_of_item[:, : self.levels]).sum(1)
        text = self.text_projection(self.catalog.text)
        return F.pad(own, (0, 0, 0, self.n_cold_items)) + codes + text

    def _known_in_this_step(self) -> Tensor | None:
        if not self.training or self.config.item_dropout == 0:
            return None
        drawn = torch.rand(self.n_items, device=self.item_embedding.weight.device)
        return drawn >= self.config.item_dropout

    def contexts(self, items: Tensor, item_vectors: Tensor, known: Tensor | None = None) -> Tensor:
        """What each position knows after reading 0, 1, … L items.

        Args:
            items: int64[B, L].
            item_vectors: [n_items, width].
            known: as in `item_vectors`.

        Returns:
            [B, L + 1, width].
        """
        begin = self.token_embedding.weight[BEGIN].expand(len(items), 1, -1)
        x = torch.cat([begin, item_vectors[items]], dim=1)
        x = self.dropout(x + self.position_embedding.weight[: x.shape[1]])
        for block in self.blocks:
            x, _ = block(x)
        x = self.norm(x)
        return torch.cat([x[:, :1], x[:, 1:] + self._following(items, known)], dim=1)

    def _following(self, items: Tensor, known: Tensor | None) -> Tensor:
        """What tends to follow the items read so far: [B, L, width], for items int64[B, L].

        At position p, Σ_a decay^a · (the second vector of the item a steps before p).
        """
        vectors = self.following_embedding.weight
        if known is not None:
            vectors = vectors * known.unsqueeze(-1)
        vectors = F.pad(vectors, (0, 0, 0, self.n_cold_items))
        decay = torch.sigmoid(self.following_decay)
        weights = weights_by_age(items.shape[1], decay, items.device)
        return weights @ self.following_dropout(F.embedding(items, vectors))

    def dense_queries(self, contexts: Tensor) -> Tensor:
        """The dense head's side of the user: contexts [m, width] as directions over temperature."""
        directions = F.normalize(self.dense_query(contexts), dim=-1)
        return directions * torch.exp(-self.log_temperature)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of the codes plus, weighted, that of the items; a target's mean."""
        assert isinstance(batch, ItemBatch)
        known = self._known_in_this_step()
        vectors = self.item_vectors(known)
        contexts = self.contexts(batch.items, vectors, known).flatten(0, 1)[batch.target_rows]
        directions = F.normalize(vectors, dim=-1)
        total = self._codes_loss(contexts, directions, batch.targets)
        if self.config.dense_loss_weight:
            dense = full_softmax_loss(self.dense_queries(contexts), directions, batch.targets)
            total = total + self.config.dense_loss_weight * dense
        return total / batch.n_targets

    def _codes_loss(self, contexts: Tensor, directions: Tensor, targets: Tensor) -> Tensor:
        """Summed over the targets (int64[m]) and their codes, suffixes where they have one."""
        keys = prefix_keys(self.catalog.trie, directions)
        tokens, states = self.catalog.tokens_of_item[targets], self.catalog.states_of_item[targets]
        before = self.token_embedding(tokens).cumsum(1)
        total = contexts.new_zeros((), dtype=torch.float32)
        for level, offset in enumerate(self.level_offsets):
            if level == self.levels:
                rows = self.catalog.needs_suffix[targets]
                contexts, before = contexts[rows], before[rows]
                tokens, states = tokens[rows], states[rows]
            codes_before = before[:, level - 1 : level] if level else None
            logits = self._code_logits(
                level, contexts, codes_before, states[:, level : level + 1], keys[level]
            )
            codes = tokens[:, level] - offset
            total = total + F.cross_entropy(logits.squeeze(1).float(), codes, reduction="sum")
        return total

    def _code_logits(
        self,
        level: int,
        contexts: Tensor,
        codes_before: Tensor | None,
        states: Tensor,
        keys: Tensor,
    ) -> Tensor:
        """Logits [B, m, codes] of the codes of one level, for m prefixes of each of B contexts.

        Args:
            level: from 0.
            contexts: [B, width].
            codes_before: [B, m, width], the summed embeddings of the prefixes' codes; None for
                the one empty prefix.
            states: int64[B, m] of the trie, where the prefixes stand.
            keys: of the states of the next depth, see `prefix_keys`.
        """
        logits = self.code_head(level, contexts.unsqueeze(1), codes_before)
        queries, leads_on = self.code_head.queries(level, contexts), self.code_head.leads_on[level]
        return add_child_scores(logits, self.catalog.trie, level, states, queries, keys, leads_on)

    def encode(self, batch: Batch) -> "ItemDecoderPrefixes":
        """Run each user's history through the blocks once."""
        return self.history_encoder()(batch)

    def history_encoder(self) -> "Callable[[Batch], ItemDecoderPrefixes]":
        """See `Generator.history_encoder`; the vectors of the catalog are shared."""
        vectors = self.item_vectors()
        directions = F.normalize(vectors, dim=-1)
        keys = prefix_keys(self.catalog.trie, directions[: self.n_items])
        return lambda batch: self._encode(batch, vectors, directions, keys)

    def _encode(
        self, batch: Batch, vectors: Tensor, directions: Tensor, keys: list[Tensor]
    ) -> "ItemDecoderPrefixes":
        assert isinstance(batch, ItemBatch)
        contexts = self.contexts(batch.items, vectors)
        users = torch.arange(len(contexts), device=contexts.device)
        context = contexts[users, batch.lengths]
        states = torch.full((len(context), 1), ROOT, device=context.device)
        logits = self._code_logits(0, context, None, states, keys[0])
        return ItemDecoderPrefixes(
            model=self,
            level=0,
            logp=logits.float().log_softmax(-1),
            context=context,
            directions=directions,
            keys=keys,
            codes_before=torch.zeros_like(context).unsqueeze(1),
            states=states,
        )

    def extend(
        self, prefixes: "ItemDecoderPrefixes", parents: Tensor, codes: Tensor
    ) -> "ItemDecoderPrefixes":
        """See `Prefixes.extend`."""
        level = prefixes.level + 1
        picked = parents.unsqueeze(-1).expand(-1, -1, prefixes.codes_before.shape[-1])
        added = self.token_embedding(codes + self.level_offsets[prefixes.level])
        before = prefixes.codes_before.gather(1, picked) + added
        states = self.catalog.trie.follow(prefixes.states.gather(1, parents), codes)
        logits = self._code_logits(level, prefixes.context, before, states, prefixes.keys[level])
        return replace(
            prefixes,
            level=level,
            logp=logits.float().log_softmax(-1),
            codes_before=before,
            states=states,
        )


@dataclass
class ItemDecoderPrefixes:
    """Beams over an `ItemDecoder`: the users' contexts, and where the beams stand.

    Attributes:
        model: the network.
        level: level of the codes that `logp` is about.
        logp: float32[B, m, codes].
        context: [B, width].
        directions: [n_items + n_cold_items, width], the items' vectors at length 1.
        keys: of the prefixes of each depth, see `prefix_keys`.
        codes_before: [B, m, width], summed embeddings of each beam's codes so far.
        states: int64[B, m], of the trie; `NO_STATE` for a beam whose codes no item has.
    """

    model: ItemDecoder
    level: int
    logp: Tensor
    context: Tensor
    directions: Tensor
    keys: list[Tensor]
    codes_before: Tensor
    states: Tensor

    def extend(self, parents: Tensor, codes: Tensor) -> "ItemDecoderPrefixes":
        """See `Prefixes.extend`."""
        return self.model.extend(self, parents, codes)

    def item_logp(self) -> Tensor:
        """See `DensePrefixes.item_logp`."""
        queries, n_warm = self.model.dense_queries(self.context), self.model.n_items
        warm, cold = self.directions.split([n_warm, self.model.n_cold_items])
        logits = (queries @ warm.T).float()
        cold_logits = (queries @ cold.T).float() - logits.logsumexp(-1, keepdim=True)
        return torch.cat([logits.log_softmax(-1), cold_logits], dim=-1)
