"""Items grouped by equal codes, by one sort."""

import numpy as np


def group_by_codes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort items by their codes and mark where the groups of equal tuples begin.

    Args:
        codes: int32[n, levels].

    Returns:
        order int64[n], the items in lexicographic order of their codes, catalog order within a
        group; and starts bool[n], True where `order` enters another group.
    """
    keys = codes.T[::-1]
    if codes.size and codes.min() >= 0 and codes.max() <= np.iinfo(np.uint16).max:
        # NumPy sorts 16-bit integers by radix: six times as fast.
        keys = keys.astype(np.uint16)
    order = np.lexsort(keys)
    ordered = codes[order]
    starts = np.ones(len(codes), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, starts
