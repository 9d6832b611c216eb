"""Where the codebooks start: k-means of what the untrained encoder makes of the items."""

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.codebook_fit import fit_codebook
from tiger_pipeline.quantization.config import ProductVaeConfig
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline.quantization.vectors import (
    check_enough_distinct,
    check_enough_distinct_in_part,
)

_ITERATIONS, _TOLERANCE = 10, 1e-3
_SAMPLE_PER_CODEWORD = 256
"""Items a codeword that k-means is given, drawn from all: enough for a start."""


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
            codebook, codes = fit_codebook(
                "points", inputs, codewords, _ITERATIONS, _TOLERANCE, generator, task
            )
        fitted.append(codebook)
        if not isinstance(config, ProductVaeConfig):
            latents = latents - codebook[codes]
    if shared:
        fitted = [np.concatenate(fitted)]
    for level, codebook in enumerate(fitted):
        model.codebook(level).start_from(torch.from_numpy(codebook).to(vectors.device))
