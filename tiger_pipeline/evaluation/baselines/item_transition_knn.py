"""Item-transition kNN: what followed the user's recent items in other users' histories.

Counting, no learning: level with published neural recommenders on sparse data such as Amazon
Beauty, in seconds, and hence the baseline that a generator has to beat.
"""

from dataclasses import dataclass

import numpy as np

from tiger_pipeline.catalog.item_transitions import ItemTransitions, count_transitions
from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.evaluation.baselines.popularity import item_popularity, rank_by_popularity
from tiger_pipeline.evaluation.seen_items import pairs_seen
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations


@dataclass(frozen=True)
class TransitionSettings:
    """Weights of the item-transition kNN; the defaults were chosen on Beauty's validation set.

    Attributes:
        window: longest distance, in steps, at which one training item counts as following another.
        distance_decay: weight of a pair one step further apart.
        row_exponent: an item's transitions are divided by their sum to this power.
        history_decay: weight of a history item one step older.
        history_items: most recent items of a history that are used.
        popularity_share: share of popularity in the mixture; so small that it only orders items
            of equal transition score and those that never followed.
    """

    window: int = 6
    distance_decay: float = 0.8
    row_exponent: float = 0.5
    history_decay: float = 0.5
    history_items: int = 50
    popularity_share: float = 1e-6


class ItemTransitionKNN:
    """Scores an item by the decayed transitions from the user's history to it.

    With ages a = 0 (last item), 1, … and transition weights T, the score of item i is
    s(i) = Σ_a history_decay^a · T[item of age a, i], and
    logp(i) = log((1 − ε) · s(i) / Σ_j s(j) + ε · popularity(i)), ε the popularity share.
    Equal scores are ordered by ascending index.

    Args:
        training: the training interactions (`UserSequences.training()`).
        n_items: size of the catalog.
        settings: weights.
    """

    def __init__(
        self,
        training: Histories,
        n_items: int,
        settings: TransitionSettings = TransitionSettings(),
    ) -> None:
        self._settings = settings
        self._n_items = n_items
        self._transitions: ItemTransitions = count_transitions(
            training, n_items, settings.window, settings.distance_decay, settings.row_exponent
        )
        self._popularity = item_popularity(training, n_items)
        self._most_popular = rank_by_popularity(self._popularity)

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """The likeliest next items; see `Recommender.recommend`."""
        spare = int(histories.lengths.max(initial=0)) if exclude_seen else 0
        # What never followed the history can only be recommended among the most popular.
        popular = np.tile(self._most_popular[: top_k + spare], (len(histories), 1))
        rows, items, logp = self._score(histories, popular)
        if exclude_seen:
            unseen = ~pairs_seen(histories, rows, items)
            rows, items, logp = rows[unseen], items[unseen], logp[unseen]
        return _top_of_rows(len(histories), rows, items, logp, top_k)

    def proposals(self, histories: Histories, width: int) -> np.ndarray:
        """See `item_prior.ItemPrior`."""
        return self.recommend(histories, width, exclude_seen=True).items

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Log-probabilities float32[n, m] of `items` (int[n, m]), for each of the n histories."""
        rows, scored, logp = self._score(histories, items)
        keys = rows * np.int64(self._n_items) + scored
        wanted = np.arange(len(histories))[:, None] * np.int64(self._n_items) + items
        return logp[np.searchsorted(keys, wanted)].astype(np.float32)

    def _score(
        self, histories: Histories, others: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All items that ever followed an item of a history, and `others`, with their logp.

        Args:
            histories: n item sequences.
            others: int[n, m], items to score beside them.

        Returns:
            Rows, items and logp of the pairs, each once, sorted by row and item.
        """
        owner = np.repeat(np.arange(len(histories)), histories.lengths)
        age = np.repeat(histories.offsets[1:], histories.lengths) - 1 - np.arange(len(owner))
        recent = age < self._settings.history_items
        sources, successors, weights = self._transitions.gather(histories.items[recent])
        scores = weights * self._settings.history_decay ** age[recent][sources]
        first_keys = np.arange(len(histories)) * np.int64(self._n_items)
        keys = np.concatenate(
            [
                first_keys[owner[recent][sources]] + successors,
                (first_keys[:, None] + others).ravel(),
            ]
        )
        scores = np.concatenate([scores, np.zeros(len(keys) - len(scores))])
        pairs, pair_of = np.unique(keys, return_inverse=True)
        rows, items = np.divmod(pairs, self._n_items)
        summed = np.bincount(pair_of, weights=scores, minlength=len(pairs))
        return rows, items, self._mixture(rows, items, summed, len(histories))

    def _mixture(
        self, rows: np.ndarray, items: np.ndarray, scores: np.ndarray, n: int
    ) -> np.ndarray:
        totals = np.bincount(rows, weights=scores, minlength=n)
        followed = totals > 0
        popularity_share = np.where(followed, self._settings.popularity_share, 1.0)[rows]
        transition_share = scores / np.where(followed, totals, 1.0)[rows]
        mixed = (1 - popularity_share) * transition_share
        return np.log(mixed + popularity_share * self._popularity[items])


def _top_of_rows(
    n: int, rows: np.ndarray, items: np.ndarray, logp: np.ndarray, top_k: int
) -> Recommendations:
    """The best `top_k` of each row of (row, item, logp) entries, sorted by row and item.

    The sort is stable, so that equal scores stay in the order of items.
    """
    order = np.lexsort((-logp, rows))
    rows, items, logp = rows[order], items[order], logp[order]
    counts = np.bincount(rows, minlength=n)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    top = place < top_k
    top_items = np.full((n, top_k), NO_ITEM, dtype=np.int32)
    top_logp = np.full((n, top_k), -np.inf, dtype=np.float32)
    top_items[rows[top], place[top]] = items[top]
    top_logp[rows[top], place[top]] = logp[top]
    return Recommendations(top_items, top_logp)
