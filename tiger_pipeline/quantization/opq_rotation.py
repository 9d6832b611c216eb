"""Optimized product quantization: a rotation that suits the parts of a product quantizer."""

import numpy as np

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization.faiss_build import load_faiss


def fit_opq_rotation(vectors: np.ndarray, parts: int) -> np.ndarray:
    """Find the rotation with which `parts` equal parts lose least (Ge et al., CVPR 2013).

    FAISS draws from a seed of its own: equal vectors give an equal rotation.

    Args:
        vectors: float32[n, d], n ≥ 256.
        parts: number of parts m; d must be a multiple of it.

    Returns:
        float32[d, d] with orthonormal columns; a row vector x is rotated by x @ rotation.

    Raises:
        ConfigurationError: d is not a multiple of `parts`, n < 256, or FAISS is not installed.
    """
    dimension = vectors.shape[1]
    if dimension % parts:
        raise ConfigurationError(
            f"The rotation `opq` needs a dimension that is a multiple of `levels`, but the "
            f"embeddings have {dimension} and there are {parts} levels. Set `rotation` to none, or "
            "change `levels`."
        )
    # FAISS trains a product quantizer of 256 codewords inside.
    if len(vectors) < 256:
        raise ConfigurationError(
            f"The rotation `opq` needs at least 256 items; there are {len(vectors)}. "
            "Set `rotation` to none."
        )
    faiss = load_faiss()
    transform = faiss.OPQMatrix(dimension, parts)
    transform.train(vectors)
    matrix = faiss.vector_to_array(transform.A).reshape(dimension, dimension)
    return np.ascontiguousarray(matrix.T)
