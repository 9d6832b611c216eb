"""Probabilities of the next item from outside a network."""

from typing import Protocol

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.recommendations import Recommendations


class ItemPrior(Protocol):
    """Probabilities of the next item from something else than the network, such as counts."""

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """See `recommendations.Recommender.recommend`."""

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Finite log-probabilities float[n, m] of items int[n, m], for each of n histories."""
