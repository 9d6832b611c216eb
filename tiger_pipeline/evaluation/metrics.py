"""Ranking metrics of one held-out item a user: hit rate and NDCG, a user and on average.

With a single relevant item the hit rate equals recall, and the ideal DCG is 1, so that
NDCG@k = 1 / log2(rank + 1) for a rank of at most k and 0 otherwise (Järvelin & Kekäläinen 2002).
"""

import numpy as np

NOT_RECOMMENDED = 0
"""The rank of a target that is not in the recommendation list."""


def target_ranks(recommended: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Position of each user's target in the user's list.

    Args:
        recommended: int[n, K], item indices, best first; −1 where a list is shorter.
        targets: int[n], item indices.

    Returns:
        int32[n], 1…K, or 0 (`NOT_RECOMMENDED`) where the target is not among the K.

    >>> target_ranks(np.array([[7, 3, 5], [7, 3, -1], [9, 2, 4]]), np.array([5, 1, 9])).tolist()
    [3, 0, 1]
    """
    hits = recommended == targets[:, None]
    positions = np.argmax(hits, axis=1) + 1 if hits.shape[1] else 0
    return np.where(hits.any(axis=1), positions, NOT_RECOMMENDED).astype(np.int32)


def hit_rate_per_user(ranks: np.ndarray, k: int) -> np.ndarray:
    """1.0 where the target is among the first `k`, else 0.0.

    Args:
        ranks: int[n] of `target_ranks`, from lists of at least `k` items.
        k: cutoff.

    Returns:
        float64[n].

    >>> hit_rate_per_user(np.array([1, 3, 0, 2]), k=2).tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    return ((ranks != NOT_RECOMMENDED) & (ranks <= k)).astype(np.float64)


def ndcg_per_user(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(rank + 1) where the target is among the first `k`, else 0.0.

    Args:
        ranks: int[n] of `target_ranks`, from lists of at least `k` items.
        k: cutoff.

    Returns:
        float64[n].

    A target at rank 3 counts 1 / log2(4) = 0.5.

    >>> ndcg_per_user(np.array([1, 3, 0, 7]), k=5).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return hit_rate_per_user(ranks, k) / np.log2(np.maximum(ranks, 1) + 1.0)


def hit_rate(ranks: np.ndarray, k: int) -> float:
    """HR@k: the share of users whose target is among the first `k` (users > 0).

    >>> hit_rate(np.array([1, 3, 0, 7]), k=5)
    0.5
    """
    return float(hit_rate_per_user(ranks, k).mean())


def ndcg(ranks: np.ndarray, k: int) -> float:
    """NDCG@k averaged over users (users > 0).

    (1 + 1/2 + 0 + 1/log2(8)) / 4 = (1 + 1/2 + 1/3) / 4 = 11/24.

    >>> round(ndcg(np.array([1, 3, 0, 7]), k=10), 6) == round(11 / 24, 6)
    True
    """
    return float(ndcg_per_user(ranks, k).mean())


METRICS = {"hit_rate": hit_rate, "ndcg": ndcg}
"""Every metric of the protocol by the name under which the tables hold it."""

PER_USER_METRICS = {"hit_rate": hit_rate_per_user, "ndcg": ndcg_per_user}
"""The same metrics before their average over users."""

METRIC_TITLES = {"hit_rate": "HR", "ndcg": "NDCG"}
"""How people write them."""
