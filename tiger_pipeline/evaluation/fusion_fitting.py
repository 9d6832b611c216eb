"""Fit the weights of a fused score to targets that are not the test's.

Every candidate of every user is scored once; a set of weights then costs one product of arrays,
so that a whole grid of them is tried. Only ratios of weights matter: the dense head's stays 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.evaluation.metrics import METRICS, NOT_RECOMMENDED, ndcg
from tiger_pipeline.generation.fusion import FusedRecommender, FusionWeights, ScoredCandidates

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
"""Tried for the codes and for the prior."""
SEEN_WEIGHTS = (0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0, -10.0)
_CUTOFF = 10


@dataclass(frozen=True)
class FittedFusion:
    """Weights and what they reach on the targets that they were fitted to.

    Attributes:
        weights: with the highest NDCG@10.
        metrics: {"hit_rate@10", "ndcg@10"} by them, seen items masked.
    """

    weights: FusionWeights
    metrics: dict[str, float]


def fit_fusion(
    recommender: FusedRecommender, histories: Histories, targets: np.ndarray
) -> FittedFusion:
    """Choose the weights with the highest NDCG@10; of equal ones, the first of the grid.

    The weights of codes and prior are fitted with seen items masked, then, with these, the
    weight of seen items with them kept.

    Args:
        recommender: whose candidates are scored; its own weights play no part.
        histories: n item sequences, n > 0.
        targets: int[n], the item that came after each.
    """
    scored = [(candidates, targets[rows]) for rows, candidates in recommender.candidates(histories)]
    grid = [FusionWeights(codes, 1.0, prior) for codes, prior in product(WEIGHTS, WEIGHTS)]
    weights = _best(grid, scored, exclude_seen=True)
    with_seen = (replace(weights, seen=seen) for seen in SEEN_WEIGHTS)
    ranks = fused_ranks(scored, weights, exclude_seen=True)
    return FittedFusion(
        _best(with_seen, scored, exclude_seen=False),
        {f"{metric}@{_CUTOFF}": measure(ranks, _CUTOFF) for metric, measure in METRICS.items()},
    )


def fused_ranks(
    scored: Iterable[tuple[ScoredCandidates, np.ndarray]],
    weights: FusionWeights,
    exclude_seen: bool,
) -> np.ndarray:
    """Ranks of the targets among the candidates, from 1; 0 where they are no candidates.

    Args:
        scored: batches of users: candidates and targets int[n].
        weights: of the scores.
        exclude_seen: items of the user's own history are no candidates.
    """
    ranks = []
    for candidates, targets in scored:
        scores = candidates.fused(weights, exclude_seen)
        is_target = candidates.items == targets[:, None]
        of_target = np.where(is_target, scores, -np.inf).max(axis=1, initial=-np.inf)
        # As in the recommendations, the lower of two items of equal score comes first.
        before = (scores > of_target[:, None]) | (
            (scores == of_target[:, None]) & (candidates.items < targets[:, None])
        )
        rank = 1 + before.sum(axis=1)
        ranks.append(np.where(of_target > -np.inf, rank, NOT_RECOMMENDED))
    return np.concatenate(ranks)


def _best(
    grid: Iterable[FusionWeights],
    scored: list[tuple[ScoredCandidates, np.ndarray]],
    exclude_seen: bool,
) -> FusionWeights:
    return max(grid, key=lambda weights: ndcg(fused_ranks(scored, weights, exclude_seen), _CUTOFF))
