"""Codebooks as named tensors, and back."""

from collections.abc import Mapping, Sequence

import numpy as np

from tiger_pipeline.errors import ArtifactError


def name_codebooks(codebooks: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """`codebook_0`, `codebook_1`, … → float32[codewords, d] of each level."""
    return {f"codebook_{level}": codebook for level, codebook in enumerate(codebooks)}


def read_codebooks(
    tensors: Mapping[str, np.ndarray], levels: int, codewords: int
) -> tuple[np.ndarray, ...]:
    """The inverse of `name_codebooks`.

    Raises:
        ArtifactError: the codebook of a level is missing or has not `codewords` rows.
    """
    codebooks = tuple(tensors.get(f"codebook_{level}", np.empty(0)) for level in range(levels))
    for level, codebook in enumerate(codebooks):
        if codebook.ndim != 2 or len(codebook) != codewords:
            raise damaged_codebook(level, codewords)
    return codebooks


def read_residual_codebooks(
    tensors: Mapping[str, np.ndarray], levels: int, codewords: int
) -> tuple[np.ndarray, ...]:
    """As `read_codebooks`, for levels that share one dimension.

    Raises:
        ArtifactError: as `read_codebooks`, or the dimensions differ.
    """
    codebooks = read_codebooks(tensors, levels, codewords)
    for level, codebook in enumerate(codebooks):
        if codebook.shape[1] != codebooks[0].shape[1]:
            raise damaged_codebook(level, codewords)
    return codebooks


def damaged_codebook(level: int, codewords: int) -> ArtifactError:
    """The error of a codebook that is not what its configuration says."""
    return ArtifactError(
        f"The codebook of level {level} is missing or does not have {codewords} codewords of the "
        "dimension that it should have. Materialize the asset codebooks again."
    )
