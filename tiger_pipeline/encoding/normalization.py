"""Scaling of vectors to length 1."""

import numpy as np


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1, float32[n, d]; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
