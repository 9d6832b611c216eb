"""What the study says of quantizers, and whether one's own runs say so too.

The study compares nine ways to make semantic IDs under one generator. Its claims are checked from
the numbers alone: every comparison has two kinds of chance in it, that of the users (paired
bootstrap) and that of the seeds, and a difference that either explains is within noise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np

from tiger_pipeline.evaluation.paired_bootstrap import MeanDifference, PerUserRanks
from tiger_pipeline.evaluation.rank_correlation import RankCorrelation, rank_correlation

if TYPE_CHECKING:
    import pyarrow as pa

PUBLISHED_NDCG_AT_10 = {
    "random": 0.0063,
    "kmeans_random_10": 0.0120,
    "kmeans_random_100": 0.0126,
    "kmeans_points_10": 0.0107,
    "kmeans_points_100": 0.0123,
    "rqvae_ste": 0.0091,
    "rqvae_rotation": 0.0106,
    "rqvae_rotation_no_kmeans_init": 0.0087,
    "rqvae_simvq": 0.0083,
}
"""The study's rows and what it reports: Beauty, 10-core on users, no k-core on items."""
STUDY_ROWS = tuple(PUBLISHED_NDCG_AT_10)
KMEANS_ROWS = tuple(row for row in STUDY_ROWS if row.startswith("kmeans"))
VAE_ROWS = tuple(row for row in STUDY_ROWS if row.startswith("rqvae"))

SIGNIFICANT = 0.05
_KMEANS, _VAE = "the k-means rows", "the RQ-VAE rows"

Verdict = Literal["agrees", "within noise", "differs"]


@dataclass(frozen=True)
class Finding:
    """One claim of the study, whether the runs bear it out, and the numbers that say so."""

    claim: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class StudyRuns:
    """What the findings are computed from.

    Attributes:
        runs: by row of `STUDY_ROWS`, its runs: one a seed.
        ndcg: by run, test NDCG@10 with seen items masked.
        perplexities: by run, perplexity of each level.
        ranks: long table (`result_tables.ranks_table`) of all runs.
    """

    runs: Mapping[str, Sequence[str]]
    ndcg: Mapping[str, float]
    perplexities: Mapping[str, Sequence[float]]
    ranks: "pa.Table"

    def row_ndcg(self, row: str) -> float:
        """Mean NDCG@10 of a row's runs."""
        return float(np.mean([self.ndcg[run] for run in self.runs[row]]))

    def row_perplexity(self, row: str) -> float:
        """Geometric mean over levels of the perplexity, averaged over the row's runs."""
        return float(
            np.mean([math.exp(np.mean(np.log(self.perplexities[run]))) for run in self.runs[row]])
        )


def find(runs: StudyRuns) -> list[Finding]:
    """Check every claim.

    Raises:
        ArtifactMismatchError: runs were not measured on the same users.
    """
    compare = _Comparisons(runs)
    return [
        _kmeans_beats_the_autoencoders(runs, compare),
        _random_is_last(runs, compare),
        _iterations_do_not_matter(compare, "kmeans_random_10", "kmeans_random_100"),
        _iterations_do_not_matter(compare, "kmeans_points_10", "kmeans_points_100"),
        _perplexity_does_not_predict(runs),
        _order_is_that_of_the_study(runs),
    ]


class _Comparisons:
    """Differences in NDCG@10 between rows or families, with their noise."""

    def __init__(self, runs: StudyRuns) -> None:
        families = {_KMEANS: KMEANS_ROWS, _VAE: VAE_ROWS}
        self._members = {row: list(names) for row, names in runs.runs.items()}
        self._members |= {
            family: [run for row in rows for run in runs.runs[row]]
            for family, rows in families.items()
        }
        self._ranks = PerUserRanks(runs.ranks, self._members)
        self._seed_deviation = seed_deviation(
            [[runs.ndcg[run] for run in names] for names in runs.runs.values()]
        )

    def compare(self, one: str, other: str) -> tuple[MeanDifference, bool, str]:
        """`one` minus `other`; whether that is within noise; and both in words."""
        found = self._ranks.compare(one, other, "test", "masked", "ndcg", 10).difference
        words = f"{found.mean:+.4f}, 95% over users [{found.low:+.4f}, {found.high:+.4f}]"
        by_chance = found.low <= 0 <= found.high
        if self._seed_deviation is not None:
            terms = sum(1 / len(self._members[name]) for name in (one, other))
            error = self._seed_deviation * math.sqrt(terms)
            words += f", standard error over seeds {error:.4f}"
            by_chance = by_chance or abs(found.mean) <= 2 * error
        return found, by_chance, words


def seed_deviation(values: Sequence[Sequence[float]]) -> float | None:
    """Standard deviation between seeds, pooled over rows; None where no row has two runs.

    >>> round(seed_deviation([[1.0, 3.0], [5.0, 5.0], [7.0]]), 6)
    1.0
    """
    squares = sum(float(np.sum((np.array(v) - np.mean(v)) ** 2)) for v in values)
    freedom = sum(len(v) - 1 for v in values)
    return math.sqrt(squares / freedom) if freedom else None


def _kmeans_beats_the_autoencoders(runs: StudyRuns, comparisons: _Comparisons) -> Finding:
    found, by_chance, words = comparisons.compare(_KMEANS, _VAE)
    pairs = list(product(KMEANS_ROWS, VAE_ROWS))
    won = sum(runs.row_ndcg(kmeans) > runs.row_ndcg(vae) for kmeans, vae in pairs)
    return Finding(
        "K-means beats the RQ-VAE family.",
        _verdict(found.mean > 0, by_chance),
        f"Mean of {_KMEANS} minus mean of {_VAE}: {words}; the k-means row is ahead in {won} of "
        f"{len(pairs)} pairs of rows.",
    )


def _random_is_last(runs: StudyRuns, comparisons: _Comparisons) -> Finding:
    next_worst = min((row for row in STUDY_ROWS if row != "random"), key=runs.row_ndcg)
    found, by_chance, words = comparisons.compare("random", next_worst)
    return Finding(
        "Random codes are last.",
        _verdict(found.mean < 0, by_chance),
        f"`random` minus the worst other row, `{next_worst}`: {words}.",
    )


def _iterations_do_not_matter(comparisons: _Comparisons, few: str, many: str) -> Finding:
    _, by_chance, words = comparisons.compare(many, few)
    return Finding(
        f"100 iterations of k-means are about as good as 10 (`{few.removesuffix('_10')}`).",
        "agrees" if by_chance else "differs",
        f"`{many}` minus `{few}`: {words}.",
    )


def _perplexity_does_not_predict(runs: StudyRuns) -> Finding:
    trained = [row for row in STUDY_ROWS if row != "random"]
    found, with_random = (
        rank_correlation([runs.row_perplexity(r) for r in rows], [runs.row_ndcg(r) for r in rows])
        for rows in (trained, STUDY_ROWS)
    )
    predicts = _is_significant(found) and (found.rho or 0.0) > 0
    return Finding(
        "The perplexity of codes does not predict how well they recommend.",
        "differs" if predicts else "agrees",
        f"Rank correlation of perplexity (geometric mean of the levels) with NDCG@10: "
        f"{correlation_in_words(found)} without `random`; {correlation_in_words(with_random)} "
        "with it.",
    )


def _order_is_that_of_the_study(runs: StudyRuns) -> Finding:
    found = rank_correlation(
        [PUBLISHED_NDCG_AT_10[row] for row in STUDY_ROWS],
        [runs.row_ndcg(row) for row in STUDY_ROWS],
    )
    return Finding(
        "The rows come in the study's order.",
        _verdict((found.rho or 0.0) > 0, not _is_significant(found)),
        f"Rank correlation of NDCG@10 with the study's: {correlation_in_words(found)}.",
    )


def _verdict(as_claimed: bool, by_chance: bool) -> Verdict:
    if by_chance:
        return "within noise"
    return "agrees" if as_claimed else "differs"


def _is_significant(correlation: RankCorrelation) -> bool:
    return correlation.p_value is not None and correlation.p_value < SIGNIFICANT


def correlation_in_words(correlation: RankCorrelation) -> str:
    """Spearman's ρ with its p-value and number of rows."""
    if correlation.rho is None or correlation.p_value is None:
        return f"not defined ({correlation.rows} rows)"
    return f"ρ = {correlation.rho:+.2f} (p = {correlation.p_value:.3f}, {correlation.rows} rows)"
