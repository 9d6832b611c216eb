"""How well codes use their codebooks, describe the vectors and tell the items apart."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tiger_pipeline.errors import InputError
from tiger_pipeline.quantization.code_groups import group_by_codes
from tiger_pipeline.storage.mapped import vector_blocks

if TYPE_CHECKING:
    from tiger_pipeline.quantization.quantizer import Quantizer


def code_statistics(
    quantizer: "Quantizer", vectors: np.ndarray, codes: np.ndarray
) -> dict[str, Any]:
    """Figures on the codes of a catalog, JSON-like.

    Args:
        quantizer: what assigned the codes.
        vectors: float32[n, d], n ≥ 1.
        codes: int32[n, levels], their codes.

    Returns:
        `levels`: for each level its number, `codewords`, how many are `used`, `utilization`
        (used / codewords), `perplexity` (exponential of the entropy of code use),
        `reconstruction_mse` (mean squared L2 error a vector with the codes up to this level, in
        the quantizer's prepared space) and `relative_reconstruction_error` (that over the mean
        squared distance of the vectors to their mean; 0 when both are 0, None when only the
        latter is).
        `code_counts`: for each level, items a codeword.
        `collisions`: `items`, `unique_tuples`, `colliding_items` (those that share all codes with
        another), `collision_rate` (their part), `largest_group`, and `suffix_tokens` (the suffixes
        that tell the items of the largest group apart; 0 without collisions).

    Raises:
        InputError: no vectors, or codes of another shape than the vectors ask for.
    """
    expected = (len(vectors), len(quantizer.codebook_sizes))
    if not len(vectors) or codes.shape != expected:
        raise InputError(
            f"Code statistics need at least one vector and codes of shape {expected}; "
            f"these have {codes.shape}."
        )
    errors, variance = _reconstruction_errors(quantizer, vectors, codes)
    counts = [
        np.bincount(codes[:, level], minlength=size)
        for level, size in enumerate(quantizer.codebook_sizes)
    ]
    return {
        "levels": [
            _level_statistics(level, counts[level], errors[level], variance)
            for level in range(len(counts))
        ],
        "code_counts": [level_counts.tolist() for level_counts in counts],
        "collisions": collision_statistics(codes),
    }


def collision_statistics(codes: np.ndarray) -> dict[str, Any]:
    """The `collisions` of `code_statistics` for `codes` (int32[n, levels], n ≥ 1)."""
    _, starts = group_by_codes(codes)
    group_sizes = np.diff(np.append(np.flatnonzero(starts), len(codes)))
    colliding_items = int(group_sizes[group_sizes > 1].sum())
    largest_group = int(group_sizes.max())
    return {
        "items": len(codes),
        "unique_tuples": len(group_sizes),
        "colliding_items": colliding_items,
        "collision_rate": colliding_items / len(codes),
        "largest_group": largest_group,
        "suffix_tokens": largest_group if largest_group > 1 else 0,
    }


def perplexity(counts: np.ndarray) -> float:
    """Exponential of the entropy of code use; `counts` (int64[codewords]) are not all 0."""
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _level_statistics(
    level: int, counts: np.ndarray, error: float, variance: float
) -> dict[str, Any]:
    used = int(np.count_nonzero(counts))
    relative = error / variance if variance > 0 else (None if error > 0 else 0.0)
    return {
        "level": level,
        "codewords": len(counts),
        "used": used,
        "utilization": used / len(counts),
        "perplexity": perplexity(counts),
        "reconstruction_mse": error,
        "relative_reconstruction_error": relative,
    }


def _reconstruction_errors(
    quantizer: "Quantizer", vectors: np.ndarray, codes: np.ndarray
) -> tuple[list[float], float]:
    """Mean squared error with the codes up to each level, and the variance of the vectors."""
    levels = codes.shape[1]
    errors = np.zeros(levels)
    total = np.zeros(quantizer.dimension)
    squares = 0.0
    for rows, block in vector_blocks(vectors):
        prepared = quantizer.prepare(block).astype(np.float64)
        total += prepared.sum(axis=0)
        squares += float(np.square(prepared).sum())
        for level in range(levels):
            reconstruction = quantizer.reconstruct(codes[rows, : level + 1])
            errors[level] += np.square(prepared - reconstruction).sum()
    mean = total / len(vectors)
    variance = max(squares / len(vectors) - float(mean @ mean), 0.0)
    return (errors / len(vectors)).tolist(), variance
