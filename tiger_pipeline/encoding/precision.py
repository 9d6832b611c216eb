"""The number format in which encoders compute: bfloat16 on CUDA cards that have it, else float32.

float16 is avoided: T5 encoders overflow in it.
"""

import numpy as np
import torch


def inference_dtype(device: str) -> torch.dtype:
    """The dtype of an encoder's arithmetic on a device."""
    if torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def inference_autocast(device: str) -> torch.autocast:
    """A context in which matrix products use `inference_dtype`; without effect in float32."""
    dtype = inference_dtype(device)
    return torch.autocast(
        torch.device(device).type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16
    )


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1, float32[n, d]; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
