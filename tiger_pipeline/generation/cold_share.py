"""At most a share ε of a list are cold-start items (TIGER, arXiv:2305.05065, §4.3).

The published rule, in full: "a hyperparameter ε which specifies the maximum proportion of unseen
items chosen by the framework". Read here as: of a list of K items at most ⌊ε·K⌋ are cold-start
items. The ranking by score decides which and where; once it has used up their places, further
cold-start items are passed over. ε = 0 is the ranking of the warm items, ε = 1 sets no limit.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.generation.recommendations import Recommendations
from tiger_pipeline.progress import Progress


def most_cold_items(top_k: int, epsilon: float) -> int:
    """⌊ε·K⌋, the most cold-start items in a list of `top_k`.

    Raises:
        ConfigurationError: ε is not within 0…1.

    >>> [most_cold_items(10, epsilon) for epsilon in (0, 0.1, 0.25, 0.3, 1)]
    [0, 1, 2, 3, 10]
    """
    if not 0 <= epsilon <= 1:
        raise ConfigurationError(
            f"epsilon, the largest share of cold-start items, is {epsilon:g}: it must be within "
            "0 and 1."
        )
    # 0.29 · 100 is a little less than 29 in binary.
    return math.floor(epsilon * top_k + 1e-9)


@dataclass(frozen=True)
class WarmAndCold:
    """The best items of each user, of both kinds apart.

    Attributes:
        warm: of the items that the recommender was fitted on.
        cold: of those that came later; scores are comparable with those of `warm`.
    """

    warm: Recommendations
    cold: Recommendations

    def limited(self, top_k: int, epsilon: float) -> Recommendations:
        """The `top_k` best, at most ⌊ε·K⌋ of them cold-start items; of equal scores, warm first.

        Args:
            top_k: K; at most the length of the lists.
            epsilon: ε, 0…1.

        Raises:
            ConfigurationError: ε is not within 0…1.
        """
        most = most_cold_items(top_k, epsilon)
        items = np.concatenate([self.warm.items[:, :top_k], self.cold.items[:, :most]], axis=1)
        logp = np.concatenate([self.warm.logp[:, :top_k], self.cold.logp[:, :most]], axis=1)
        order = np.argsort(-logp, axis=1, kind="stable")[:, :top_k]
        return Recommendations(
            np.take_along_axis(items, order, axis=1), np.take_along_axis(logp, order, axis=1)
        )


class ColdStartRecommender(Protocol):
    """A recommender that also knows items that it was not fitted on."""

    def recommend_apart(
        self,
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None = None,
    ) -> WarmAndCold:
        """The best `top_k` warm and the best `top_k` cold-start items of each of n histories.

        Args:
            histories: n item sequences; may hold items of both kinds.
            top_k: length of both lists.
            exclude_seen: never recommend an item that is in the user's own history.
            progress: where to report.
        """
