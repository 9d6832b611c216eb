"""The two networks around the codes."""

import itertools
from collections.abc import Sequence

from torch import nn


def build_mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers without biases, SiLU between them.

    Weights are drawn so that the signal keeps its scale (He et al., 2015).

    Args:
        widths: of input, hidden layers and output.
    """
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        linear = nn.Linear(inputs, outputs, bias=False)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers += [nn.SiLU(), linear] if index else [linear]
    return nn.Sequential(*layers)


def build_autoencoder(
    dimension: int, hidden: Sequence[int], code_dimension: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder float32[n, dimension] → float32[n, code_dimension], and its mirror image."""
    widths = [dimension, *hidden, code_dimension]
    return build_mlp(widths), build_mlp(widths[::-1])
