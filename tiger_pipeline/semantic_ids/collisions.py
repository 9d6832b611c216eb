"""Suffixes that tell apart the items whose codes are all the same."""

import numpy as np

from tiger_pipeline.quantization.code_groups import group_by_codes


def resolve_collisions(codes: np.ndarray) -> np.ndarray:
    """Number the items that share all their codes, in catalog order.

    Suffixes start at 0, so an item alone on its tuple has 0 (Rajput et al., "Recommender Systems
    with Generative Retrieval", 2023, section 3.1). Takes O(n log n) time.

    Args:
        codes: int32[n, levels].

    Returns:
        int32[n].
    """
    order, starts = group_by_codes(codes)
    positions = np.arange(len(codes))
    group_starts = np.maximum.accumulate(np.where(starts, positions, 0))
    suffixes = np.empty(len(codes), dtype=np.int32)
    suffixes[order] = positions - group_starts
    return suffixes


def group_sizes(codes: np.ndarray) -> np.ndarray:
    """int64[n], the number of items (itself included) that share each item's codes."""
    order, starts = group_by_codes(codes)
    groups = np.cumsum(starts) - 1
    sizes = np.empty(len(codes), dtype=np.int64)
    sizes[order] = np.bincount(groups)[groups]
    return sizes
