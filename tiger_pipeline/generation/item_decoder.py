"""A Transformer over items, one position an item, with two heads: codes, and items themselves.

What a position reads is the item's own learned vector, the sum of its codes' embeddings and its
projected text embedding; an item whose own vector is unknown still has the other two. Every
position predicts the next item twice:

- the code head generates its semantic ID level by level from the context and the codes before,
  by one small MLP a level, so that a beam costs no attention;
- the dense head scores all items at once by the cosine of context and item vector over a learned
  temperature, trained by the full softmax over the catalog.

A position an item instead of one a code makes the sequences three to four times shorter than a
`Decoder`'s. Sources of the parts: SASRec (Kang & McAuley 2018, arXiv:1808.09781) with full
cross-entropy; generation and dense retrieval by one network as in LIGER (Yang et al. 2024,
arXiv:2411.18814) and COBRA (Yang et al. 2025, arXiv:2503.02453).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.errors import InputError
from tiger_pipeline.generation.causal_blocks import Block
from tiger_pipeline.generation.code_head import CodeHead
from tiger_pipeline.generation.config import ItemDecoderConfig
from tiger_pipeline.generation.full_softmax import full_softmax_loss
from tiger_pipeline.generation.generator import Batch, DenseGenerator
from tiger_pipeline.generation.item_batches import ItemBatch, ItemExamples
from tiger_pipeline.generation.tokens import BEGIN, ItemTokenizer
from tiger_pipeline.generation.windows import most_recent, training_windows
from tiger_pipeline.semantic_ids.table import SemanticIds

_INITIAL_STD = 0.02
_INITIAL_TEMPERATURE = 0.07


class ItemDecoder(DenseGenerator):
    """The network; see the module."""

    config: ItemDecoderConfig
    text: Tensor
    tokens_of_item: Tensor
    needs_suffix: Tensor

    def __init__(
        self, config: ItemDecoderConfig, semantic_ids: SemanticIds, text_embeddings: np.ndarray
    ) -> None:
        """A network with fresh weights.

        Args:
            config: settings.
            semantic_ids: of the catalog.
            text_embeddings: float32[n_items, d], in the order of `semantic_ids`; never trained.
        """
        tokenizer = ItemTokenizer(semantic_ids)
        super().__init__(config, semantic_ids, tokenizer.vocabulary.codebook_sizes)
        self.levels = semantic_ids.levels
        self.level_offsets = tokenizer.vocabulary.level_offsets
        self._add_frozen("tokens_of_item", tokenizer.tokens_of_item.astype(np.int64))
        self._add_frozen("needs_suffix", semantic_ids.needs_suffix)
        self._add_frozen("text", standardized(text_embeddings, text_embeddings))
        self._text_embeddings = text_embeddings

        width = config.width
        self.item_embedding = nn.Embedding(self.n_items, width)
        self.token_embedding = nn.Embedding(tokenizer.vocabulary.size, width)
        self.text_projection = nn.Linear(text_embeddings.shape[1], width, bias=False)
        self.position_embedding = nn.Embedding(config.history_items + 1, width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        inner = int(config.head_ratio * width)
        self.code_head = CodeHead(width, inner, self.codebook_sizes, config.dropout)
        self.dense_query = nn.Linear(width, width)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_INITIAL_TEMPERATURE)))
        self.apply(self._initialize)
        # Standardized text then weighs as much in an item's vector as each of its other parts.
        text_std = _INITIAL_STD / math.sqrt(text_embeddings.shape[1])
        nn.init.normal_(self.text_projection.weight, std=text_std)

    def _add_frozen(self, name: str, array: np.ndarray) -> None:
        """Keep what is no weight on the network's device, but out of its saved state."""
        self.register_buffer(name, torch.tensor(array), persistent=False)

    def _initialize(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=_INITIAL_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    @property
    def text_embeddings(self) -> np.ndarray:
        """See `Generator.text_embeddings`."""
        return self._text_embeddings

    def _read_catalog(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None) -> None:
        if text_embeddings is None or len(text_embeddings) != semantic_ids.n_cold:
            raise InputError(
                "A generator of kind item_decoder reads the text embedding of every cold-start "
                f"item: it needs {semantic_ids.n_cold:,}. Materialize the asset item_embeddings "
                "again, then cold_semantic_ids."
            )
        device = self.text.device
        tokens = ItemTokenizer(semantic_ids).tokens_of_item.astype(np.int64)
        self.tokens_of_item = torch.from_numpy(tokens).to(device)
        cold = torch.from_numpy(standardized(text_embeddings, self._text_embeddings))
        self.text = torch.cat([self.text[: self.n_items], cold.to(device)])

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
        codes = self.token_embedding(self.tokens_of_item[:, : self.levels]).sum(1)
        return F.pad(own, (0, 0, 0, self.n_cold_items)) + codes + self.text_projection(self.text)

    def _known_in_this_step(self) -> Tensor | None:
        if not self.training or self.config.item_dropout == 0:
            return None
        drawn = torch.rand(self.n_items, device=self.tokens_of_item.device)
        return drawn >= self.config.item_dropout

    def contexts(self, items: Tensor, item_vectors: Tensor) -> Tensor:
        """What each position knows after reading 0, 1, … L items.

        Args:
            items: int64[B, L].
            item_vectors: [n_items, width].

        Returns:
            [B, L + 1, width].
        """
        begin = self.token_embedding.weight[BEGIN].expand(len(items), 1, -1)
        x = torch.cat([begin, item_vectors[items]], dim=1)
        x = self.dropout(x + self.position_embedding.weight[: x.shape[1]])
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)

    def dense_queries(self, contexts: Tensor) -> Tensor:
        """The dense head's side of the user: contexts [m, width] as directions over temperature."""
        directions = F.normalize(self.dense_query(contexts), dim=-1)
        return directions * torch.exp(-self.log_temperature)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of the codes plus, weighted, that of the items; a target's mean."""
        assert isinstance(batch, ItemBatch)
        vectors = self.item_vectors(self._known_in_this_step())
        contexts = self.contexts(batch.items, vectors).flatten(0, 1)[batch.target_rows]
        total = self._codes_loss(contexts, batch.targets)
        if self.config.dense_loss_weight:
            queries, directions = self.dense_queries(contexts), F.normalize(vectors, dim=-1)
            dense = full_softmax_loss(queries, directions, batch.targets)
            total = total + self.config.dense_loss_weight * dense
        return total / batch.n_targets

    def _codes_loss(self, contexts: Tensor, targets: Tensor) -> Tensor:
        """Summed over the targets (int64[m]) and their codes, suffixes where they have one."""
        tokens = self.tokens_of_item[targets]
        before = self.token_embedding(tokens).cumsum(1)
        total = contexts.new_zeros((), dtype=torch.float32)
        for level, offset in enumerate(self.level_offsets):
            if level == self.levels:
                rows = self.needs_suffix[targets]
                contexts, before, tokens = contexts[rows], before[rows], tokens[rows]
            logits = self.code_head(level, contexts, before[:, level - 1] if level else None)
            codes = tokens[:, level] - offset
            total = total + F.cross_entropy(logits.float(), codes, reduction="sum")
        return total

    def encode(self, batch: Batch) -> "ItemDecoderPrefixes":
        """Run each user's history through the blocks once."""
        assert isinstance(batch, ItemBatch)
        vectors = self.item_vectors()
        contexts = self.contexts(batch.items, vectors)
        users = torch.arange(len(contexts), device=contexts.device)
        context = contexts[users, batch.lengths]
        no_codes = torch.zeros_like(context).unsqueeze(1)
        logp = self.code_head(0, context.unsqueeze(1), None).float().log_softmax(-1)
        return ItemDecoderPrefixes(self, 0, logp, context, vectors, no_codes)


def standardized(embeddings: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """Embeddings float32[n, d], moved and scaled as brings `warm` to mean 0 and mean square 1.

    Language models put all texts near one another, far from the origin: without this, items would
    differ by little of their text's vector, and how much the text counts would depend on the model.
    """
    mean = warm.mean(axis=0)
    return (embeddings - mean) / max(float(np.sqrt(np.square(warm - mean).mean())), 1e-12)


@dataclass
class ItemDecoderPrefixes:
    """Beams over an `ItemDecoder`: the users' contexts, and the sums of the beams' codes.

    Attributes:
        model: the network.
        level: level of the codes that `logp` is about.
        logp: float32[B, m, codes].
        context: [B, width].
        item_vectors: [n_items + n_cold_items, width].
        codes_before: [B, m, width], summed embeddings of each beam's codes so far.
    """

    model: ItemDecoder
    level: int
    logp: Tensor
    context: Tensor
    item_vectors: Tensor
    codes_before: Tensor

    def extend(self, parents: Tensor, codes: Tensor) -> "ItemDecoderPrefixes":
        """See `Prefixes.extend`."""
        model = self.model
        picked = parents.unsqueeze(-1).expand(-1, -1, self.codes_before.shape[-1])
        added = model.token_embedding(codes + model.level_offsets[self.level])
        before = self.codes_before.gather(1, picked) + added
        logits = model.code_head(self.level + 1, self.context.unsqueeze(1), before)
        return ItemDecoderPrefixes(
            model,
            self.level + 1,
            logits.float().log_softmax(-1),
            self.context,
            self.item_vectors,
            before,
        )

    def item_logp(self) -> Tensor:
        """See `DensePrefixes.item_logp`."""
        queries, n_warm = self.model.dense_queries(self.context), self.model.n_items
        warm, cold = F.normalize(self.item_vectors, dim=-1).split([n_warm, self.model.n_cold_items])
        logits = (queries @ warm.T).float()
        cold_logits = (queries @ cold.T).float() - logits.logsumexp(-1, keepdim=True)
        return torch.cat([logits.log_softmax(-1), cold_logits], dim=-1)
