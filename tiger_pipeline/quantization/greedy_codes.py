"""Codes of vectors, level by level, in blocks that bound the memory."""

from collections.abc import Callable, Sequence

import numpy as np

from tiger_pipeline.quantization.nearest import nearest_codewords, priced_codewords
from tiger_pipeline.storage.mapped import vector_blocks


def assign_by_block(
    vectors: np.ndarray, levels: int, codes_of: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Codes int32[n, levels] of `vectors` (float32[n, d]), a block of rows at a time.

    Args:
        vectors: what to assign; its memory is not copied as a whole.
        levels: codes a vector.
        codes_of: codes [m, levels] of a block float32[m, d].
    """
    codes = np.empty((len(vectors), levels), dtype=np.int32)
    for rows, block in vector_blocks(vectors):
        codes[rows] = codes_of(block)
    return codes


def residual_codes(
    vectors: np.ndarray,
    codebooks: Sequence[np.ndarray],
    prices: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Each level chooses a codeword for what the levels before left over.

    Args:
        vectors: float32[n, d].
        codebooks: a float32[codewords, d] for each level.
        prices: a float32[codewords] for each level, see `nearest.priced_codewords`; None for zeros.

    Returns:
        int32[n, levels].
    """
    codes = np.empty((len(vectors), len(codebooks)), dtype=np.int32)
    for level, codebook in enumerate(codebooks):
        if prices is None:
            codes[:, level] = nearest_codewords(vectors, codebook)
        else:
            codes[:, level] = priced_codewords(vectors, codebook, prices[level])
        vectors = vectors - codebook[codes[:, level]]
    return codes


def product_codes(vectors: np.ndarray, codebooks: Sequence[np.ndarray]) -> np.ndarray:
    """Each level chooses a codeword for a part of the vector.

    Args:
        vectors: float32[n, Σ d_level].
        codebooks: a float32[codewords, d_level] for each level.

    Returns:
        int32[n, levels].
    """
    ends = np.cumsum([codebook.shape[1] for codebook in codebooks])
    parts = np.split(vectors, ends[:-1], axis=1)
    codes = np.empty((len(vectors), len(codebooks)), dtype=np.int32)
    for level, (part, codebook) in enumerate(zip(parts, codebooks, strict=True)):
        codes[:, level] = nearest_codewords(np.ascontiguousarray(part), codebook)
    return codes
