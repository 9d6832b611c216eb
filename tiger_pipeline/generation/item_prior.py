"""Probabilities of the next item from outside a network."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tiger_pipeline.catalog.sequences import Histories


class ItemPrior(Protocol):
    """Probabilities of the next item from something else than the network, such as counts."""

    def proposals(self, histories: Histories, width: int) -> np.ndarray:
        """Each user's `width` likeliest unseen items int[n, m], in any order.

        Warm ones, and as many cold ones where the prior tells these apart; `NO_ITEM` where there
        are fewer.
        """

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Finite log-probabilities float[n, m] of items int[n, m], for each of n histories."""


@dataclass(frozen=True)
class ItemPriors:
    """Those of a fused score.

    Attributes:
        transitions: from what followed what in the training interactions.
        text: from the similarity of texts.
    """

    transitions: ItemPrior
    text: ItemPrior

    def proposals(self, histories: Histories, width: int) -> np.ndarray:
        """What either of them proposes, int[n, m]."""
        both = [prior.proposals(histories, width) for prior in (self.transitions, self.text)]
        return np.concatenate(both, axis=1)

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Log-probabilities float32[n, m, 2] of items int[n, m] by either."""
        both = [prior.logp(histories, items) for prior in (self.transitions, self.text)]
        return np.stack(both, axis=2).astype(np.float32)
