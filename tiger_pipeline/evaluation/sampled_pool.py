"""Ranking among a sampled pool: the target and items that the user never interacted with.

Many published numbers are of this kind, and they are not comparable with full ranking, nor with
another pool size: they do not even keep the order of recommenders (Krichene & Rendle, On Sampled
Metrics for Item Recommendation, KDD 2020). They are there for comparison with such publications.
"""

from collections.abc import Callable

import numpy as np

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.evaluation.metrics import NOT_RECOMMENDED
from tiger_pipeline.generation.recommendations import PoolRecommender, Recommender


def draw_negatives(sequences: UserSequences, users: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Items drawn uniformly, without repeats, from those that a user has in no split.

    A user's draw is a function of the seed and the user alone, and hence the same for every
    recommender and every split.

    Args:
        sequences: of all users.
        users: int[m], indices.
        n: items per user.
        seed: of the draws.

    Returns:
        int32[m, n].

    Raises:
        ConfigurationError: a user has so many items that fewer than `n` are left.
    """
    negatives = np.empty((len(users), n), dtype=np.int32)
    for row, user in enumerate(users):
        own = np.unique(sequences.items[sequences.offsets[user] : sequences.offsets[user + 1]])
        left = sequences.n_items - len(own)
        if left < n:
            raise ConfigurationError(
                f"evaluation.sampled_negatives is {n}, but user {sequences.user_ids[user]!r} "
                f"leaves only {left} of {sequences.n_items} items to draw from. Lower it."
            )
        generator = np.random.default_rng([seed, int(user)])
        drawn = generator.choice(sequences.n_items, size=n + len(own), replace=False)
        negatives[row] = drawn[~np.isin(drawn, own)][:n]
    return negatives


def pool_ranks(
    recommender: Recommender,
    histories: Histories,
    targets: np.ndarray,
    negatives: np.ndarray,
    longest: int,
    users_per_batch: int,
    advance: Callable[[int], None],
) -> np.ndarray:
    """The rank of each target among itself and its negatives; of equal scores the lower index.

    Args:
        recommender: that can score a given pool.
        histories: of m users.
        targets: int[m], item indices.
        negatives: int[m, n].
        longest: ranks beyond it count as not recommended, as in lists of that length.
        users_per_batch: bounds memory.
        advance: told how many users are done.

    Returns:
        int32[m], from 1, or `NOT_RECOMMENDED`.

    Raises:
        ConfigurationError: the recommender has lists only.
    """
    if not isinstance(recommender, PoolRecommender):
        raise ConfigurationError(
            f"{type(recommender).__name__} finds its own items and cannot rank a given pool. "
            "Leave evaluation.sampled_negatives out."
        )
    pools = np.column_stack([targets, negatives]).astype(np.int32)
    ranks = np.empty(len(targets), dtype=np.int32)
    for start in range(0, len(targets), users_per_batch):
        rows = np.arange(start, min(start + users_per_batch, len(targets)))
        pool = pools[rows]
        scores = recommender.logp(histories.select(rows), pool)
        before = (scores > scores[:, :1]) | ((scores == scores[:, :1]) & (pool < pool[:, :1]))
        ranks[rows] = 1 + before.sum(axis=1)
        advance(len(rows))
    return np.where(ranks <= longest, ranks, NOT_RECOMMENDED).astype(np.int32)
