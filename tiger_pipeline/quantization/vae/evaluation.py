"""What an epoch is judged by: the codes of all items, chosen as in use."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.quantization.statistics import collision_statistics, perplexity
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline.quantization.vectors import row_blocks

_ROWS_PER_BLOCK = 8192


@torch.no_grad()
def evaluate_codes(model: QuantizingAutoencoder, vectors: Tensor) -> dict[str, Any]:
    """Figures on the nearest codewords of all items.

    Args:
        model: on the device of `vectors`.
        vectors: float32[n, d], prepared.

    Returns:
        `perplexity` and `utilization`, a list with a number a level; `colliding_items`; and
        `reconstruction_mse`, the mean squared L2 error a vector.
    """
    codes, errors = [], vectors.new_zeros((), dtype=torch.float64)
    for rows in row_blocks(len(vectors), _ROWS_PER_BLOCK):
        block_codes, quantized = model.nearest(model.encoder(vectors[rows]))
        errors += (vectors[rows] - model.decode(quantized)).square().sum(dtype=torch.float64)
        codes.append(block_codes)
    all_codes = torch.cat(codes).cpu().numpy().astype(np.int32)
    counts = [
        np.bincount(level_codes, minlength=model.config.codewords) for level_codes in all_codes.T
    ]
    return {
        "perplexity": [perplexity(level_counts) for level_counts in counts],
        "utilization": [float(np.mean(level_counts > 0)) for level_counts in counts],
        "colliding_items": collision_statistics(all_codes)["colliding_items"],
        "reconstruction_mse": errors.item() / len(vectors),
    }


def badness(figures: dict[str, Any], choose_by: str) -> float:
    """What the epoch that is kept has least of.

    Args:
        figures: from `evaluate_codes`.
        choose_by: `perplexity` (its mean over levels, the more the better), `reconstruction` or
            `collisions`.
    """
    if choose_by == "perplexity":
        return -float(np.mean(figures["perplexity"]))
    if choose_by == "reconstruction":
        return float(figures["reconstruction_mse"])
    return float(figures["colliding_items"])
