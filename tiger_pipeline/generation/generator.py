"""What a generator of semantic IDs is to the training loop, the beam search and the checkpoint.

Training, early stopping, resuming, beam search and recommending are written once, against this
protocol; a network adds how its examples look, its loss, and how it extends prefixes of codes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.generation.config import GeneratorConfig, ItemDecoderConfig
from tiger_pipeline.semantic_ids.table import SemanticIds

BatchT = TypeVar("BatchT", bound="Batch")


class Batch(Protocol):
    """Some examples, padded to one length, as tensors. `n_targets` weighs the batch's loss."""

    n_targets: int

    def to(self: BatchT, device: torch.device) -> BatchT:
        """The same batch on `device`."""


class Examples(Protocol):
    """Examples in the form a generator reads them, from which batches are taken.

    Attributes:
        lengths: int64[n], padded positions that an example costs in a batch of its own length.
    """

    lengths: np.ndarray

    def batch(self, rows: np.ndarray) -> Batch:
        """The examples at `rows` (int[m]), padded to the longest of them."""


class Prefixes(Protocol):
    """The codes that the beams of some users have so far, ready to be scored and extended.

    All that depends on the history alone was computed once and is shared by a user's beams.

    Attributes:
        logp: float32[users, beams, codes of the next level], log-probabilities of the next code
            under the full softmax of its level.
    """

    logp: Tensor

    def extend(self, parents: Tensor, codes: Tensor) -> "Prefixes":
        """Prefixes one code longer.

        Args:
            parents: int64[users, m], which of the beams each new prefix continues.
            codes: int64[users, m], the code that it adds.
        """


class DensePrefixes(Prefixes, Protocol):
    """Prefixes of a generator that also scores items as wholes."""

    def item_logp(self) -> Tensor:
        """Scores of all items by the dense head.

        Returns:
            float32[users, n_items + n_cold_items], log-probabilities among the warm items; that
            of a cold item is by the same measure: its logit minus the warm items' normalizer.
        """


class TrainableNetwork(nn.Module, ABC):
    """What the training loop needs of a network: a loss over the batches of its examples."""

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Mean negative log-probability, in nats, of the batch's targets: float32[]."""


class Generator(TrainableNetwork):
    """A network that gives the probability of an item's codes, level by level, after a history.

    Attributes:
        config: the network's settings.
        semantic_ids_fingerprint: of the table whose codes it was built for.
        codebook_sizes: codes of each level, the suffix last if any item needs it.
        n_items: items of that table.
        n_cold_items: items behind them in the table of `on_catalog`.
    """

    def __init__(
        self, config: GeneratorConfig, semantic_ids: SemanticIds, codebook_sizes: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.config = config
        self.semantic_ids_fingerprint = semantic_ids.fingerprint
        self.codebook_sizes = codebook_sizes
        self.n_items = len(semantic_ids.item_ids)
        self.n_cold_items = 0

    @property
    def text_embeddings(self) -> np.ndarray | None:
        """float32[n_items, d] that the network was built on, or None if it reads no text.

        They are no weights: a checkpoint keeps them once, a training state not at all.
        """
        return None

    def on_catalog(
        self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None = None
    ) -> None:
        """From now on, know the items of a grown table: read them in histories, score them.

        Changes no weight, and nothing about how warm items are read and scored.

        Args:
            semantic_ids: a table that grew from the one that the network was built for.
            text_embeddings: float32[n_cold, d] of its cold items, for a network that reads text.

        Raises:
            ArtifactMismatchError: the table did not grow from that one.
            InputError: the network reads text, and there is not one embedding a cold item.
        """
        if semantic_ids.warm.fingerprint != self.semantic_ids_fingerprint:
            raise ArtifactMismatchError(
                "The cold-start items belong to other warm items than those that this generator "
                "was trained on. Materialize the asset cold_semantic_ids again."
            )
        self._read_catalog(semantic_ids, text_embeddings)
        self.n_cold_items = semantic_ids.n_cold

    @abstractmethod
    def _read_catalog(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None) -> None:
        """Take into the network what `on_catalog` was given; it fits."""

    @abstractmethod
    def training_examples(self, histories: Histories) -> Examples:
        """Examples in which every interaction of `histories` is a target exactly once."""

    @abstractmethod
    def history_examples(self, histories: Histories) -> Examples:
        """Examples from which to recommend what comes after each history, in their order."""

    @abstractmethod
    def encode(self, batch: Batch) -> Prefixes:
        """Encode each user's history once; the result holds one empty prefix a user."""

    def history_encoder(self) -> Callable[[Batch], Prefixes]:
        """`encode` for many batches: what depends on the weights alone is computed once.

        To be asked for anew when a weight or the catalog has changed.
        """
        return self.encode


class DenseGenerator(Generator):
    """A generator that, beside generating codes, scores all items at once by a dense head."""

    config: ItemDecoderConfig

    @property
    @abstractmethod
    def text_embeddings(self) -> np.ndarray:
        """See `Generator.text_embeddings`; float32[n_items, d]."""

    @abstractmethod
    def encode(self, batch: Batch) -> DensePrefixes:
        """See `Generator.encode`."""

    def history_encoder(self) -> Callable[[Batch], DensePrefixes]:
        """See `Generator.history_encoder`."""
        return self.encode
