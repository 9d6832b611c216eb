"""Where training starts: the scale of the latent vectors, and codebooks from k-means of them."""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.codebook_fit import fit_codebook
from tiger_pipeline.quantization.config import ProductVaeConfig
from tiger_pipeline.quantization.kmeans_initialization import initial_centroids
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct,
    check_enough_distinct_in_part,
    row_blocks,
)

_ITERATIONS, _TOLERANCE = 10, 1e-3
_SAMPLE_PER_CODEWORD = 256
"""Items a codeword that k-means is given, drawn from all: enough for a start."""


@torch.no_grad()
def scale_latents(model: QuantizingAutoencoder, vectors: Tensor) -> None:
    """Scale the encoder's last layer so that latent vectors are as long as random codewords.

    Otherwise all of them would be nearest to the one codeword next to the origin.

    Args:
        model: untrained; codewords are about of unit length.
        vectors: float32[n, d], the prepared vectors of all items, on the model's device.
    """
    squares = vectors.new_zeros((), dtype=torch.float64)
    for rows in row_blocks(len(vectors)):
        squares += model.encoder(vectors[rows]).square().sum(dtype=torch.float64)
    length = (squares / len(vectors)).sqrt()
    last_layer = cast(nn.Linear, model.encoder[-1])
    last_layer.weight /= torch.where(length > 0, length, 1).float()


@torch.no_grad()
def start_codebooks(model: QuantizingAutoencoder, vectors: Tensor, seed: int) -> None:
    """Start every codebook from k-means of its inputs.

    A codebook shared by the levels gets an equal part of its codewords from each level.

    Args:
        model: untrained.
        vectors: float32[n, d], the prepared vectors of all items, on the model's device.
        seed: of the sample and of k-means.

    Raises:
        ConfigurationError: a level has fewer distinct inputs than codewords.
    """
    config = model.config
    generator = np.random.default_rng([seed, 1])
    size = min(len(vectors), _SAMPLE_PER_CODEWORD * config.codewords)
    rows = torch.from_numpy(generator.permutation(len(vectors))[:size])
    latents = model.encoder(vectors[rows.to(vectors.device)]).cpu().numpy()
    shared = len(model.codebooks) == 1
    parts = np.array_split(np.arange(config.codewords), config.levels)
    fitted: list[np.ndarray] = []
    for level in range(config.levels):
        codewords = len(parts[level]) if shared and config.levels > 1 else config.codewords
        inputs = latents
        if isinstance(config, ProductVaeConfig):
            inputs = np.ascontiguousarray(np.array_split(latents, config.levels, axis=1)[level])
            check_enough_distinct_in_part(inputs, codewords, level)
        else:
            check_enough_distinct(inputs, codewords, level)
        with NoProgress().task("", _ITERATIONS) as task:
            start = initial_centroids("points", inputs, codewords, generator)
            codebook, codes = fit_codebook(inputs, start, _ITERATIONS, _TOLERANCE, generator, task)
        fitted.append(codebook)
        if not isinstance(config, ProductVaeConfig):
            latents = latents - codebook[codes]
    if shared:
        fitted = [np.concatenate(fitted)]
    for level, codebook in enumerate(fitted):
        model.codebook(level).start_from(torch.from_numpy(codebook).to(vectors.device))
