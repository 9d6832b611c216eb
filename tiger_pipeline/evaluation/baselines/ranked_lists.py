"""Recommendation lists cut from longer rankings."""

import numpy as np

from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations


def first_allowed(
    items: np.ndarray, logp: np.ndarray, allowed: np.ndarray, top_k: int
) -> Recommendations:
    """The first `top_k` allowed items of each row, in the order of the row.

    Args:
        items: int[n, m], ranked item indices, best first.
        logp: float[n, m], their scores.
        allowed: bool[n, m], which of them may be recommended.
        top_k: items per row; a row with fewer allowed items ends with `NO_ITEM`.
    """
    n, m = items.shape
    # A stable sort on "forbidden" moves the allowed items to the front and keeps their order.
    order = np.argsort(~allowed, axis=1, kind="stable")[:, :top_k]
    kept = np.take_along_axis(allowed, order, axis=1)
    top_items = np.full((n, top_k), NO_ITEM, dtype=np.int32)
    top_logp = np.full((n, top_k), -np.inf, dtype=np.float32)
    width = min(m, top_k)
    top_items[:, :width] = np.where(kept, np.take_along_axis(items, order, axis=1), NO_ITEM)
    top_logp[:, :width] = np.where(kept, np.take_along_axis(logp, order, axis=1), -np.inf)
    return Recommendations(top_items, top_logp)
