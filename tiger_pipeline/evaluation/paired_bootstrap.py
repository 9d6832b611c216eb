"""Paired bootstrap over users: is one recommender better than another, or was it luck?

Both recommenders were measured on the same users, so their difference is known for every user.
Users are drawn with replacement, and the spread of the mean difference over such samples is its
uncertainty (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13; for ranking
metrics: Sakai, SIGIR 2006). What it does not cover is the spread between training seeds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.evaluation.metrics import PER_USER_METRICS

if TYPE_CHECKING:
    import pyarrow as pa

RESAMPLES = 10_000
SEED = 0
"""Of all comparisons that are reported."""
CONFIDENCE = 0.95
_CELLS_AT_ONCE = 4_000_000
_DECIMALS = 12
"""Gains and losses that cancel are a tie; in floating point their sum is a little off 0."""


@dataclass(frozen=True)
class MeanDifference:
    """A mean difference and its uncertainty.

    Attributes:
        mean: of the differences.
        low: lower end of the 95% percentile interval.
        high: upper end.
        p_value: two-sided; below 0.05 where the interval leaves out 0.
    """

    mean: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class PairedComparison:
    """One metric of two models on the same users: `difference` is `model` minus `other`."""

    model: str
    other: str
    split: str
    seen: str
    metric: str
    k: int
    users: int
    difference: MeanDifference


def bootstrap_mean(
    differences: np.ndarray, seed: int = SEED, resamples: int = RESAMPLES
) -> MeanDifference:
    """Bootstrap the mean of paired differences.

    Ranking metrics take few values, so their differences do too. How often each value comes up in
    a sample of n users is a draw from a multinomial distribution: the same samples in
    distribution as drawing n users one by one, at a hundredth of the numbers.

    Args:
        differences: float64[n], n > 0, one a user.
        seed: of the samples.
        resamples: how many.

    Returns:
        The percentile interval, and p = 2 · min(P(mean* ≤ 0), P(mean* ≥ 0)), counting the
        observed sample among the resamples, so that it is never 0.

    >>> bootstrap_mean(np.zeros(5), seed=0)
    MeanDifference(mean=0.0, low=0.0, high=0.0, p_value=1.0)
    """
    values, counts = np.unique(np.round(differences, _DECIMALS), return_counts=True)
    means = np.concatenate(list(_resampled_means(values, counts, seed, resamples)))
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    not_above = (np.count_nonzero(means <= 0) + 1) / (resamples + 1)
    not_below = (np.count_nonzero(means >= 0) + 1) / (resamples + 1)
    return MeanDifference(
        mean=float(counts @ values / len(differences)),
        low=float(low),
        high=float(high),
        p_value=float(min(1.0, 2 * min(not_above, not_below))),
    )


def _resampled_means(
    values: np.ndarray, counts: np.ndarray, seed: int, resamples: int
) -> Iterator[np.ndarray]:
    """Means float64[m] of the samples, as many at once as fit into a bounded table of counts."""
    rng = np.random.default_rng(seed)
    n = int(counts.sum())
    at_once = max(1, _CELLS_AT_ONCE // len(values))
    for start in range(0, resamples, at_once):
        drawn = rng.multinomial(n, counts / n, size=min(at_once, resamples - start))
        yield np.round(drawn @ values / n, _DECIMALS)


class PerUserRanks:
    """The ranks that several models gave to the same users' targets.

    Args:
        ranks: a table of `result_tables.ranks_table`, or several put together.
        repeats: by name of a group, the models whose mean it stands for: of a user, the mean of
            the metric over them.
    """

    def __init__(
        self, ranks: "pa.Table", repeats: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._ranks = ranks
        self._repeats = repeats or {}

    def compare(
        self, model: str, other: str, split: str, seen: str, metric: str, k: int
    ) -> PairedComparison:
        """Compare two models by one metric, user by user.

        Args:
            model: name of a row, or of a group of `repeats`.
            other: name of what it is compared with.
            split: "valid" or "test".
            seen: "masked" or "kept".
            metric: a key of `metrics.METRICS`.
            k: cutoff, no more than the length of the lists that were ranked.

        Raises:
            ArtifactMismatchError: the models have no ranks, or not of the same users.
        """
        values, users = self._per_user(model, split, seen, metric, k)
        other_values, other_users = self._per_user(other, split, seen, metric, k)
        _check_same_users((model, users), (other, other_users), split)
        difference = bootstrap_mean(values - other_values)
        return PairedComparison(model, other, split, seen, metric, k, len(users), difference)

    def _per_user(
        self, model: str, split: str, seen: str, metric: str, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Metric float64[n] and user ids object[n], in the order of the ids."""
        members = self._repeats.get(model, [model])
        (ranks, users), *others = (self._of(member, split, seen) for member in members)
        total = PER_USER_METRICS[metric](ranks, k)
        for member, (member_ranks, member_users) in zip(members[1:], others, strict=True):
            _check_same_users((members[0], users), (member, member_users), split)
            total = total + PER_USER_METRICS[metric](member_ranks, k)
        return total / len(members), users

    def _of(self, model: str, split: str, seen: str) -> tuple[np.ndarray, np.ndarray]:
        """Ranks int32[n] and user ids object[n], in the order of the ids."""
        import pyarrow.compute as pc

        wanted = (
            (pc.field("model") == model) & (pc.field("split") == split) & (pc.field("seen") == seen)
        )
        rows = self._ranks.filter(wanted)
        if not rows.num_rows:
            raise ArtifactMismatchError(
                f"There are no ranks of {model!r} on {split} with seen items {seen}. "
                "Materialize it again."
            )
        users = rows["user_id"].to_numpy()
        order = np.argsort(users, kind="stable")
        return rows["rank"].to_numpy()[order], users[order]


def _check_same_users(
    one: tuple[str, np.ndarray], other: tuple[str, np.ndarray], split: str
) -> None:
    """Refuse two models (name, user ids in order) that were not measured on the same users."""
    (model, users), (other_model, other_users) = one, other
    if np.array_equal(users, other_users):
        return
    alone = np.setxor1d(users, other_users)
    example = f"; {alone[0]!r} is in one of them only" if len(alone) else ""
    raise ArtifactMismatchError(
        f"{model!r} and {other_model!r} cannot be compared user by user on {split}: they were "
        f"measured on {len(users):,} and {len(other_users):,} users that are not the same{example}."
        " Materialize both again from the same interactions."
    )
