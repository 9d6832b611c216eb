"""Even assignment of a batch to codewords, in training only."""

import torch
from torch import Tensor

_ITERATIONS = 50
_LARGEST_EXPONENT = 60.0
"""Costs are cut off here: e^-60 and its inverse are safe in float32."""


def sinkhorn_plan(costs: Tensor, epsilon: float) -> Tensor:
    """Entropic optimal transport of n rows of mass 1/n to k columns of mass 1/k.

    Alternating scaling of rows and columns (Cuturi, "Sinkhorn distances", 2013), columns last.

    Args:
        costs: float32[n, k].
        epsilon: weight of the entropy, with the costs scaled to the range −1…1.

    Returns:
        float32[n, k], the masses moved.
    """
    rows, columns = costs.shape
    half_range = ((costs.max() - costs.min()) / 2).clamp_min(torch.finfo(torch.float32).tiny)
    exponents = (costs - costs.amin(dim=1, keepdim=True)) / (epsilon * half_range)
    kernel = exponents.clamp_max_(_LARGEST_EXPONENT).neg_().exp_()
    column_scales = costs.new_ones(columns)
    for _ in range(_ITERATIONS):
        row_scales = 1 / (rows * (kernel @ column_scales))
        column_scales = 1 / (columns * (row_scales @ kernel))
    return row_scales[:, None] * kernel * column_scales


def even_codes(costs: Tensor, epsilon: float) -> Tensor:
    """int64[n], the codeword that gets most of each row's mass in `sinkhorn_plan`."""
    return sinkhorn_plan(costs, epsilon).argmax(dim=1)
