"""Spearman's rank correlation, with a permutation test: few rows, so no normal approximation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_PERMUTATIONS = 10_000
_ROUNDING = 1e-12


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's ρ of two columns.

    Attributes:
        rho: −1…1; None where it is not defined: fewer than three rows, or a column of one value.
        p_value: two-sided, the share of random pairings with at least as large an |ρ|.
        rows: that it was computed on.
    """

    rho: float | None
    p_value: float | None
    rows: int


def rank_correlation(x: Sequence[float], y: Sequence[float], seed: int = 0) -> RankCorrelation:
    """Spearman's ρ: Pearson's correlation of the ranks, ties sharing their mean rank.

    Args:
        x: n values.
        y: n values, of the same rows.
        seed: of the random pairings.

    >>> rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]).rho
    0.8
    """
    if len(x) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return RankCorrelation(None, None, len(x))
    first, second = _standardized_ranks(x), _standardized_ranks(y)
    rho = float(first @ second)
    paired = np.random.default_rng(seed).permuted(np.tile(second, (_PERMUTATIONS, 1)), axis=1)
    as_large = np.count_nonzero(np.abs(paired @ first) >= abs(rho) - _ROUNDING)
    return RankCorrelation(round(rho, 12), (as_large + 1) / (_PERMUTATIONS + 1), len(x))


def _standardized_ranks(values: Sequence[float]) -> np.ndarray:
    """float64[n] with mean 0 and length 1."""
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    centered = ranks - ranks.mean()
    return centered / np.linalg.norm(centered)
