"""How well new items fit codebooks that were fitted before they came.

Three signs that codebooks have aged: new items are described worse than the items that the
codebooks were fitted on, they crowd into the same codes, and they use other codewords. Each is
compared with what items of the old kind would give: the 95th percentile of the fitted items'
errors is passed by 5% of them; a new item meets taken codes as often as a fitted one shares its
codes; and the divergence of code use is reduced by its mean over samples of the old kind of the
same size, since few items use codewords unevenly by chance alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiger_pipeline.quantization.drift_config import CodebookDriftConfig
from tiger_pipeline.quantization.quantizer import Quantizer
from tiger_pipeline.storage.mapped import vector_blocks

LARGE_ERROR_PERCENTILE = 95
_PERCENTILES = range(101)
_FITTED_ITEMS_PER_CODEWORD = 20
"""With fewer, codewords sit on the fitted items themselves, whose errors then say nothing."""
_SAMPLES = 200


@dataclass(frozen=True)
class CodebookFit:
    """How new items fit.

    Attributes:
        items: new items looked at.
        large_errors: share of them whose squared error is above the fitted items' 95th
            percentile; None where the codebooks tell nothing about errors.
        collisions: share of them whose codes another item had before.
        expected_collisions: share of the fitted items that share their codes.
        code_shift: for each level, bits of divergence of code use beyond chance.
    """

    items: int
    large_errors: float | None
    collisions: float
    expected_collisions: float
    code_shift: tuple[float, ...]

    def problems(self, config: CodebookDriftConfig) -> list[str]:
        """One sentence for each sign of aged codebooks; none where there are too few items."""
        if self.items < config.min_items:
            return []
        found = []
        if self.large_errors is not None and self.large_errors > config.max_large_errors:
            found.append(
                f"{self.large_errors:.0%} of {self.items:,} cold items have a larger "
                f"reconstruction error than {LARGE_ERROR_PERCENTILE}% of the items that the "
                f"codebooks were fitted on (allowed: {config.max_large_errors:.0%})."
            )
        extra = self.collisions - self.expected_collisions
        if extra > config.max_extra_collisions:
            found.append(
                f"{self.collisions:.0%} of {self.items:,} cold items got codes that another item "
                f"had, against {self.expected_collisions:.0%} among the fitted items (allowed: "
                f"{config.max_extra_collisions:.0%} more)."
            )
        shift = max(self.code_shift)
        if shift > config.max_code_shift:
            found.append(
                f"Cold items use the codewords of level {self.code_shift.index(shift)} otherwise "
                f"than the fitted items: {shift:.2f} bits of Jensen–Shannon divergence beyond "
                f"chance (allowed: {config.max_code_shift:g})."
            )
        return found


def squared_errors(quantizer: Quantizer, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Squared L2 errors float64[n] of vectors (float32[n, d]) described by all of their codes."""
    errors = np.empty(len(vectors))
    for rows, block in vector_blocks(vectors):
        difference = quantizer.prepare(block) - quantizer.reconstruct(codes[rows])
        errors[rows] = np.square(difference, dtype=np.float64).sum(axis=1)
    return errors


def error_percentiles(quantizer: Quantizer, vectors: np.ndarray, codes: np.ndarray) -> list[float]:
    """Percentiles 0 to 100 of the squared errors of the fitted items (at least one), to be kept.

    Empty where there are fewer than 20 fitted items a codeword.
    """
    if len(vectors) < _FITTED_ITEMS_PER_CODEWORD * max(quantizer.codebook_sizes):
        return []
    return np.percentile(squared_errors(quantizer, vectors, codes), _PERCENTILES).tolist()


def measure_fit(
    errors: np.ndarray,
    codes: np.ndarray,
    joined_others: np.ndarray,
    percentiles: Sequence[float],
    fitted_counts: Sequence[Sequence[int]],
    expected_collisions: float,
) -> CodebookFit:
    """Compare n ≥ 1 new items with the items that the codebooks were fitted on.

    Args:
        errors: float64[n], squared errors of the new items.
        codes: int32[n, levels], theirs.
        joined_others: bool[n], whether another item had an item's codes before.
        percentiles: see `error_percentiles`.
        fitted_counts: for each level, fitted items a codeword.
        expected_collisions: share of the fitted items that share all codes with another.
    """
    large = None
    if percentiles:
        large = float((errors > percentiles[LARGE_ERROR_PERCENTILE]).mean())
    shift = tuple(
        code_shift(
            np.bincount(codes[:, level], minlength=len(counts)),
            np.asarray(counts),
            np.random.default_rng(level),
        )
        for level, counts in enumerate(fitted_counts)
    )
    return CodebookFit(
        items=len(codes),
        large_errors=large,
        collisions=float(joined_others.mean()),
        expected_collisions=expected_collisions,
        code_shift=shift,
    )


def code_shift(new: np.ndarray, fitted: np.ndarray, generator: np.random.Generator) -> float:
    """Divergence of the use of codewords beyond chance, in bits, at least 0.

    Both sets of items are drawn anew from the fitted items' use, at their own sizes; the mean
    divergence of such pairs is what chance gives.

    Args:
        new: int64[codewords], new items a codeword, not all 0.
        fitted: int64[codewords], fitted items a codeword, not all 0.
        generator: of the draws.
    """
    shares = fitted / fitted.sum()
    by_chance = jensen_shannon(
        generator.multinomial(int(new.sum()), shares, size=_SAMPLES),
        generator.multinomial(int(fitted.sum()), shares, size=_SAMPLES),
    ).mean()
    return max(0.0, float(jensen_shannon(new, fitted) - by_chance))


def jensen_shannon(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence in bits, 0 to 1 (Lin 1991), of counts [..., k], over the last axis.

    Returns:
        float64[...].
    """
    p = left / left.sum(axis=-1, keepdims=True)
    q = right / right.sum(axis=-1, keepdims=True)
    return _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2


def _entropy(shares: np.ndarray) -> np.ndarray:
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logs).sum(axis=-1)
