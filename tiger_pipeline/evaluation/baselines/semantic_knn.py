"""Semantic_KNN: the items whose text is nearest to that of the user's recent items.

The cold-start baseline of TIGER (arXiv:2305.05065, §4.3). It is fitted on nothing, so that an item
that came a minute ago is ranked like any other.
"""

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.evaluation.baselines.ranked_lists import first_allowed
from tiger_pipeline.evaluation.seen_items import lists_seen
from tiger_pipeline.generation.cold_share import WarmAndCold
from tiger_pipeline.generation.recommendations import Recommendations
from tiger_pipeline.progress import NoProgress, Progress

_USERS_AT_ONCE = 256


class SemanticKnn:
    """Ranks items by the cosine of their text embedding and the mean of the last few items'.

    Args:
        text_embeddings: float32[n_items, d], warm items first.
        n_warm: number of warm items.
        recent_items: how many items of a history count; all alike.
    """

    def __init__(self, text_embeddings: np.ndarray, n_warm: int, recent_items: int) -> None:
        norms = np.linalg.norm(text_embeddings, axis=1, keepdims=True)
        self._directions = (text_embeddings / np.maximum(norms, 1e-12)).astype(np.float32)
        self._n_warm = n_warm
        self._recent_items = recent_items

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """The nearest warm items; `logp` holds cosines. See `Recommender.recommend`."""
        warm = slice(0, self._n_warm)
        return self._nearest([warm], histories, top_k, exclude_seen, NoProgress())[0]

    def recommend_apart(
        self,
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None = None,
    ) -> WarmAndCold:
        """The nearest items of both kinds; see `cold_share.ColdStartRecommender`."""
        parts = [slice(0, self._n_warm), slice(self._n_warm, len(self._directions))]
        found = self._nearest(parts, histories, top_k, exclude_seen, progress or NoProgress())
        return WarmAndCold(*found)

    def _nearest(
        self,
        parts: list[slice],
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress,
    ) -> list[Recommendations]:
        lists = [Recommendations.empty(len(histories), top_k) for _ in parts]
        with progress.task("Nearest texts", len(histories), "users") as task:
            for start in range(0, len(histories), _USERS_AT_ONCE):
                rows = np.arange(start, min(start + _USERS_AT_ONCE, len(histories)))
                users = histories.select(rows)
                wanted = self._wanted(users)
                spare = int(users.lengths.max(initial=0)) if exclude_seen else 0
                for part, found in zip(parts, lists, strict=True):
                    cosines = wanted @ self._directions[part].T
                    columns = _largest(cosines, top_k + spare)
                    items = columns + part.start
                    seen = lists_seen(users, items) & exclude_seen
                    best = np.take_along_axis(cosines, columns, axis=1)
                    kept = first_allowed(items, best, ~seen, top_k)
                    found.put(rows, kept.items, kept.logp)
                task.advance(len(rows))
        return lists

    def _wanted(self, histories: Histories) -> np.ndarray:
        """float32[n, d], the direction of each history; 0 for an empty one."""
        age = np.repeat(histories.offsets[1:], histories.lengths) - np.arange(len(histories.items))
        recent = histories.only(age <= self._recent_items)
        total = np.zeros((len(recent), self._directions.shape[1]), dtype=np.float32)
        owner = np.repeat(np.arange(len(recent)), recent.lengths)
        np.add.at(total, owner, self._directions[recent.items])
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """int64[n, k], columns of the k largest of each row, descending; of equal ones the lowest."""
    k = min(k, values.shape[1])
    if not k:
        return np.empty((len(values), 0), dtype=np.int64)
    columns = np.sort(np.argpartition(-values, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(values, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
