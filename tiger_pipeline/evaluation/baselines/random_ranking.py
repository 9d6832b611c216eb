"""Random ranking: the floor under every other row."""

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.evaluation.baselines.ranked_lists import first_allowed
from tiger_pipeline.evaluation.seen_items import lists_seen
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations


class RandomRecommender:
    """Ranks items uniformly at random, once and for all for a user.

    The ranking is a function of the seed and the user, so that neither batches nor the order of
    users change it.

    Args:
        n_items: size of the catalog.
        seed: of the rankings.
    """

    def __init__(self, n_items: int, seed: int) -> None:
        self._n_items = n_items
        self._seed = seed

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """Uniformly drawn distinct items; see `Recommender.recommend`."""
        drawn = top_k + (histories.lengths if exclude_seen else np.zeros(len(histories), int))
        drawn = np.minimum(drawn, self._n_items)
        items = np.full((len(histories), int(drawn.max(initial=0))), NO_ITEM, dtype=np.int32)
        for row, (user, count) in enumerate(zip(histories.users, drawn, strict=True)):
            generator = np.random.default_rng([self._seed, int(user)])
            items[row, :count] = generator.choice(self._n_items, size=count, replace=False)
        allowed = items != NO_ITEM
        if exclude_seen:
            allowed &= ~lists_seen(histories, items)
        logp = np.full(items.shape, -np.log(self._n_items))
        return first_allowed(items, logp, allowed, top_k)

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Scores float32[n, m] that rank a pool uniformly at random; see `PoolRecommender.logp`.

        A function of seed, user and item; another order than that of `recommend`.
        """
        places = np.empty(items.shape, dtype=np.float32)
        for row, user in enumerate(histories.users):
            generator = np.random.default_rng([self._seed, int(user)])
            places[row] = generator.permutation(self._n_items)[items[row]]
        return -places
