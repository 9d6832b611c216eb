"""Popularity: every user gets the items with the most training interactions."""

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.evaluation.baselines.ranked_lists import first_allowed
from tiger_pipeline.evaluation.seen_items import lists_seen
from tiger_pipeline.generation.recommendations import Recommendations


def item_popularity(training: Histories, n_items: int) -> np.ndarray:
    """Add-one smoothed share of each item among the training interactions.

    Returns:
        float64[n_items], positive, with sum 1.
    """
    counts = np.bincount(training.items, minlength=n_items) + 1.0
    return counts / counts.sum()


def rank_by_popularity(popularity: np.ndarray) -> np.ndarray:
    """int32[n_items], the most popular item first; equally popular items by ascending index."""
    return np.argsort(-popularity, kind="stable").astype(np.int32)


class PopularityRecommender:
    """Ranks items by their number of training interactions, the same for every user.

    Args:
        training: the training interactions (`UserSequences.training()`).
        n_items: size of the catalog.
    """

    def __init__(self, training: Histories, n_items: int) -> None:
        popularity = item_popularity(training, n_items)
        self._ranking = rank_by_popularity(popularity)
        self._item_logp = np.log(popularity).astype(np.float32)
        self._logp = self._item_logp[self._ranking]

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """The most popular items, as log of their smoothed share; see `Recommender.recommend`."""
        n = len(histories)
        spare = int(histories.lengths.max(initial=0)) if exclude_seen else 0
        items = np.tile(self._ranking[: top_k + spare], (n, 1))
        logp = np.tile(self._logp[: top_k + spare], (n, 1))
        allowed = np.ones(items.shape, dtype=bool)
        if exclude_seen:
            allowed = ~lists_seen(histories, items)
        return first_allowed(items, logp, allowed, top_k)

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Of the items' popularity, the same for every user; see `PoolRecommender.logp`."""
        return self._item_logp[items]
