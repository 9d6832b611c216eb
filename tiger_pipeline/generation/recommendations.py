"""What every recommender hands out, whether it generates semantic IDs or counts transitions."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from tiger_pipeline.catalog.sequences import Histories

NO_ITEM = -1
"""Fills the end of a user's row when fewer than `top_k` items can be recommended."""


@dataclass(frozen=True)
class Recommendations:
    """Ranked items of some users, best first.

    Attributes:
        items: int32[n, top_k], item indices 0…n_items−1; `NO_ITEM` where there are fewer.
        logp: float32[n, top_k], descending along a row; −inf where there is no item. A generator
            gives log-probabilities; a recommender without probabilities gives its own scores.
    """

    items: np.ndarray
    logp: np.ndarray

    @classmethod
    def empty(cls, n: int, top_k: int) -> "Recommendations":
        """Lists of n users in which there is no item yet."""
        return cls(
            np.full((n, top_k), NO_ITEM, dtype=np.int32),
            np.full((n, top_k), -np.inf, dtype=np.float32),
        )

    def put(self, rows: np.ndarray, items: np.ndarray, logp: np.ndarray) -> None:
        """Write ranked items and their scores, [m, any number], into the empty lists at `rows`."""
        width = min(items.shape[1], self.items.shape[1])
        self.items[rows, :width] = items[:, :width]
        self.logp[rows, :width] = logp[:, :width]


class Recommender(Protocol):
    """Anything that ranks the catalog for a user's history."""

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """Recommend `top_k` items for each of the n histories, in their order.

        Args:
            histories: n item sequences, oldest first; a sequence may be empty.
            top_k: items per user.
            exclude_seen: never recommend an item that is in the user's own history.
        """


@runtime_checkable
class PoolRecommender(Recommender, Protocol):
    """A recommender that can also rank a given pool of items, as a sampled evaluation needs."""

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Scores float[n, m] of items int[n, m] for each of the n histories, as `recommend` ranks.

        Items of the user's own history are scored like all others.
        """
