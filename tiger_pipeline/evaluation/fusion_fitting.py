"""Fit the weights of a fused score to targets that are not the test's.

Every candidate of every user is scored once; a set of weights then costs one product of arrays,
so that hundreds of them are tried. Only ratios of weights matter: the dense head's stays 1.
"""

from dataclasses import dataclass, replace

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.evaluation.metrics import METRICS, NOT_RECOMMENDED, ndcg
from tiger_pipeline.generation.fusion import FusedRecommender, FusionWeights, ScoredCandidates

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
"""Tried for the codes and for each prior."""
SEEN_WEIGHTS = (0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0, -10.0)
_START = FusionWeights(codes=0.3, dense=1.0, transitions=1.0, text=0.3)
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
    """Climb to weights of which none can be changed for a higher NDCG@10, within those tried.

    The weights of codes and priors are fitted with seen items masked, one after the other until
    none changes; then, with these, the weight of seen items with them kept.

    Args:
        recommender: whose candidates are scored; its own weights play no part.
        histories: n item sequences, n > 0.
        targets: int[n], the item that came after each.
    """
    found = _Found.of(recommender, histories, targets)
    weights = _climb(found)
    ranks = found.ranks(weights, exclude_seen=True)
    return FittedFusion(
        _best_change(found, weights, "seen", SEEN_WEIGHTS, exclude_seen=False),
        {f"{metric}@{_CUTOFF}": measure(ranks, _CUTOFF) for metric, measure in METRICS.items()},
    )


def _climb(found: "_Found") -> FusionWeights:
    weights, before = _START, None
    while weights != before:
        before = weights
        for name in ("transitions", "text", "codes"):
            weights = _best_change(found, weights, name, WEIGHTS, exclude_seen=True)
    return weights


def _best_change(
    found: "_Found",
    weights: FusionWeights,
    name: str,
    values: tuple[float, ...],
    exclude_seen: bool,
) -> FusionWeights:
    """With the value of one weight that gives the highest NDCG@10; the present one if equal."""
    present = getattr(weights, name)
    tried = [replace(weights, **{name: value}) for value in (present, *values)]
    return max(tried, key=lambda changed: ndcg(found.ranks(changed, exclude_seen), _CUTOFF))


@dataclass(frozen=True)
class _Found:
    """The users whose target is a candidate: no weights can find the targets of the others.

    Attributes:
        scored: batches of candidates and targets int[n].
        n_others: the other users.
    """

    scored: list[tuple[ScoredCandidates, np.ndarray]]
    n_others: int

    @classmethod
    def of(
        cls, recommender: FusedRecommender, histories: Histories, targets: np.ndarray
    ) -> "_Found":
        scored = []
        for rows, candidates in recommender.candidates(histories):
            found = (candidates.items == targets[rows, None]).any(axis=1)
            scored.append((candidates.select(found), targets[rows][found]))
        return cls(scored, len(targets) - sum(len(wanted) for _, wanted in scored))

    def ranks(self, weights: FusionWeights, exclude_seen: bool) -> np.ndarray:
        """Ranks of all users' targets, the users in another order."""
        parts = [fused_ranks(*batch, weights, exclude_seen) for batch in self.scored]
        return np.concatenate([*parts, np.full(self.n_others, NOT_RECOMMENDED)])


def fused_ranks(
    candidates: ScoredCandidates, targets: np.ndarray, weights: FusionWeights, exclude_seen: bool
) -> np.ndarray:
    """Ranks int[n] of the targets among the candidates, from 1; 0 where they are none.

    Args:
        candidates: of n users.
        targets: int[n], item indices.
        weights: of the scores.
        exclude_seen: items of the user's own history are no candidates.
    """
    scores = candidates.fused(weights, exclude_seen)
    is_target = candidates.items == targets[:, None]
    of_target = np.where(is_target, scores, -np.inf).max(axis=1, initial=-np.inf)
    # As in the recommendations, the lower of two items of equal score comes first.
    before = (scores > of_target[:, None]) | (
        (scores == of_target[:, None]) & (candidates.items < targets[:, None])
    )
    return np.where(of_target > -np.inf, 1 + before.sum(axis=1), NOT_RECOMMENDED)
