"""Checks and small operations on the vectors that quantizers are fitted on and applied to."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.quantization.row_hash import hash_rows, hash_weights
from tiger_pipeline.storage.mapped import ROWS_PER_BLOCK, release_read_pages, vector_blocks

_SAMPLED_ROWS_PER_BLOCK = 1024
"""Fewer, as each row of a mapped matrix brings the pages around it into the memory."""

_SAMPLE_STREAM = 2**32 - 1
"""Beside the seed, so that the sample's draws are those of no level."""


def row_blocks(n_rows: int, rows_per_block: int = ROWS_PER_BLOCK) -> Iterator[slice]:
    """Consecutive slices that cover `n_rows` rows."""
    for start in range(0, n_rows, rows_per_block):
        yield slice(start, min(start + rows_per_block, n_rows))


def sample_vectors(vectors: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many rows of `vectors` (float32[n, d]), drawn without replacement, in their order.

    Args:
        vectors: to draw from; returned as they are when they are few enough.
        most: rows, at least 1.
        seed: of the draw.
    """
    if len(vectors) <= most:
        return vectors
    generator = np.random.default_rng([seed, _SAMPLE_STREAM])
    rows = np.sort(generator.choice(len(vectors), most, replace=False, shuffle=False))
    sample = np.empty((most, vectors.shape[1]), dtype=np.float32)
    for block in row_blocks(most, _SAMPLED_ROWS_PER_BLOCK):
        sample[block] = vectors[rows[block]]
        release_read_pages()
    return sample


def check_vectors(vectors: np.ndarray, dimension: int | None = None) -> None:
    """Check that `vectors` is a finite float32[n, d] matrix; n may be 0.

    Args:
        vectors: the matrix to check.
        dimension: the d it must have, or None for any.

    Raises:
        InputError: no matrix, the wrong dtype or d, or a NaN or infinity (row named).
    """
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise InputError(
            f"Embeddings must be a matrix with one row an item; this array has shape "
            f"{vectors.shape}."
        )
    if vectors.dtype != np.float32:
        raise InputError(f"Embeddings must be float32, not {vectors.dtype}. Convert them first.")
    if dimension is not None and vectors.shape[1] != dimension:
        raise InputError(
            f"The embeddings have {vectors.shape[1]} dimensions, but the quantizer was fitted on "
            f"{dimension}. Use the encoder that it was fitted with, or fit it again."
        )
    for rows, block in vector_blocks(vectors):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = rows.start + int(np.argmin(finite))
            raise InputError(
                f"The embedding in row {row} contains NaN or infinity. "
                "Look at that item's text and at the encoder, and encode it again."
            )


def check_vectors_to_fit(vectors: np.ndarray) -> None:
    """Check that `vectors` is a finite float32[n, d] matrix with at least one row.

    Raises:
        InputError: it is not.
    """
    check_vectors(vectors)
    if not len(vectors):
        raise InputError("There are no embeddings to fit a quantizer on. Is the catalog empty?")


def count_distinct(vectors: np.ndarray, limit: int) -> int:
    """Number of distinct rows of `vectors` (float32[n, d]), counted no further than `limit`."""
    weights = hash_weights(vectors.shape[1], seed=0)
    seen = np.empty(0, dtype=np.uint64)
    for block in row_blocks(len(vectors), rows_per_block=2048):
        seen = np.union1d(seen, hash_rows(vectors[block], weights))
        if len(seen) >= limit:
            return limit
    return len(seen)


def check_enough_distinct(vectors: np.ndarray, codewords: int, level: int) -> None:
    """Check that `vectors` (float32[n, d]) can fill `codewords` clusters.

    Raises:
        ConfigurationError: fewer distinct vectors than codewords.
    """
    distinct = count_distinct(vectors, codewords)
    if distinct >= codewords:
        return
    if level == 0:
        raise ConfigurationError(
            f"There are only {distinct} distinct embeddings for {codewords} codewords a level. "
            f"Lower `codewords` to {distinct} or less, or use a larger catalog."
        )
    raise ConfigurationError(
        f"At level {level} only {distinct} distinct residuals are left for {codewords} codewords: "
        f"the levels before describe almost every item exactly. Lower `levels` to {level}, or "
        "lower `codewords`."
    )


def check_enough_distinct_in_part(part: np.ndarray, codewords: int, level: int) -> None:
    """Check that a part of the vectors (float32[n, d_part]) can fill `codewords` clusters.

    Raises:
        ConfigurationError: fewer distinct rows than codewords.
    """
    distinct = count_distinct(part, codewords)
    if distinct < codewords:
        raise ConfigurationError(
            f"Part {level} of the embeddings takes only {distinct} distinct values for {codewords} "
            f"codewords. Lower `codewords` to {distinct} or less, or lower `levels`."
        )


def normalize_rows(vectors: np.ndarray) -> np.ndarray:
    """`vectors` (float32[n, d]) scaled to unit length; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1).astype(np.float32)


def scale_rows(vectors: np.ndarray, normalize: Literal["none", "l2"]) -> np.ndarray:
    """`vectors` (float32[n, d]) as a quantizer's setting `normalize` asks."""
    return normalize_rows(vectors) if normalize == "l2" else vectors
