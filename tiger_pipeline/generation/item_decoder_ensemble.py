"""Several item decoders that answer as one: the mean of their log-probabilities.

What networks of different first weights learn by heart from few interactions differs, what they
learn of the catalog does not: in the mean, errors of the first kind cancel. Codes gain most, since
a beam that is lost at the first level is lost for good. The members share the semantic IDs, so one
search goes through all of them; nothing else connects them.

Averaging log-probabilities, instead of probabilities, is a product of experts (Hinton 1999) or
logarithmic opinion pool: an item that any member rules out does not rank high. Ensembles of
networks from different initial weights: Lakshminarayanan et al. 2017, arXiv:1612.01474.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.config import ItemDecoderConfig
from tiger_pipeline.generation.generator import Batch, DenseGenerator
from tiger_pipeline.generation.item_batches import ItemExamples
from tiger_pipeline.generation.item_catalog import ItemCatalog
from tiger_pipeline.generation.item_decoder import ItemDecoder, ItemDecoderPrefixes
from tiger_pipeline.semantic_ids.table import SemanticIds


class ItemDecoderEnsemble(DenseGenerator):
    """`config.members` networks; see the module."""

    config: ItemDecoderConfig

    def __init__(
        self, config: ItemDecoderConfig, semantic_ids: SemanticIds, text_embeddings: np.ndarray
    ) -> None:
        """Members with fresh weights; the arguments are those of an `ItemDecoder`."""
        catalog = ItemCatalog(semantic_ids, text_embeddings)
        super().__init__(config, semantic_ids, catalog.vocabulary.codebook_sizes)
        self.catalog = catalog
        self.members = nn.ModuleList(
            ItemDecoder(config, semantic_ids, text_embeddings, self.catalog)
            for _ in range(config.members)
        )

    def _each(self) -> list[ItemDecoder]:
        return [member for member in self.members if isinstance(member, ItemDecoder)]

    @property
    def text_embeddings(self) -> np.ndarray:
        """See `Generator.text_embeddings`."""
        return self.catalog.text_embeddings

    def _read_catalog(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None) -> None:
        self.catalog.grow(semantic_ids, text_embeddings)
        for member in self._each():
            member.n_cold_items = semantic_ids.n_cold

    def training_examples(self, histories: Histories) -> ItemExamples:
        """The same for all members."""
        return self._each()[0].training_examples(histories)

    def history_examples(self, histories: Histories) -> ItemExamples:
        """The same for all members."""
        return self._each()[0].history_examples(histories)

    def loss(self, batch: Batch) -> Tensor:
        """Mean over the members, each of which learns as it would alone."""
        return torch.stack([member.loss(batch) for member in self._each()]).mean()

    def encode(self, batch: Batch) -> "EnsemblePrefixes":
        """Run each user's history through all members once."""
        return self.history_encoder()(batch)

    def history_encoder(self) -> "Callable[[Batch], EnsemblePrefixes]":
        """See `Generator.history_encoder`."""
        encoders = [member.history_encoder() for member in self._each()]
        return lambda batch: EnsemblePrefixes.of([encode(batch) for encode in encoders])


@dataclass
class EnsemblePrefixes:
    """The same beams in every member.

    Attributes:
        logp: float32[B, m, codes], of the ensemble.
        members: beams of each member.
    """

    logp: Tensor
    members: Sequence[ItemDecoderPrefixes]

    @classmethod
    def of(cls, members: Sequence[ItemDecoderPrefixes]) -> "EnsemblePrefixes":
        """Beams that all members have."""
        mean = torch.stack([prefixes.logp for prefixes in members]).mean(0)
        return cls(mean.log_softmax(-1), members)

    def extend(self, parents: Tensor, codes: Tensor) -> "EnsemblePrefixes":
        """See `Prefixes.extend`."""
        return self.of([prefixes.extend(parents, codes) for prefixes in self.members])

    def item_logp(self) -> Tensor:
        """See `DensePrefixes.item_logp`."""
        mean = torch.stack([prefixes.item_logp() for prefixes in self.members]).mean(0)
        n_warm = self.members[0].model.n_items
        return mean - mean[:, :n_warm].logsumexp(-1, keepdim=True)
