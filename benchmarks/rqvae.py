"""RQ-VAE training (3 × 256, batches of 1,024) against vector-quantize-pytorch's ResidualVQ.

    pip install vector-quantize-pytorch
    python benchmarks/rqvae.py [--embeddings beauty.npy] [--epochs 20] [--threads 2]

The same networks, optimizer, shuffle and batches are trained in the same process, once with this
package's codebooks and once with the library's, both from k-means: codebooks trained by gradient
(straight-through), by moving averages, and with the rotation trick. Ours include the looks at all
items' codes every 10 epochs, which choose the epoch. The runs alternate; the best of the rounds
counts. The vectors are those of `residual_kmeans.py`.
Prints seconds for 1,000 epochs, their ratio, and the reconstruction loss of the last epoch.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from residual_kmeans import beauty_vectors
from torch import Tensor
from torch.nn import functional
from vector_quantize_pytorch import ResidualVQ

from tiger_pipeline.compute_device import choose_device
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.config import ResidualVaeConfig
from tiger_pipeline.quantization.vae.initialization import start_codebooks
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline.quantization.vae.network import build_autoencoder
from tiger_pipeline.quantization.vae.training import train_autoencoder

VARIANTS = {
    "gradient, straight-through": {"codebook": "learned", "gradient": "ste"},
    "moving averages, straight-through": {"codebook": "ema", "gradient": "ste"},
    "gradient, rotation trick": {"codebook": "learned", "gradient": "rotation"},
}
ROUNDS = 3


def train_ours(config: ResidualVaeConfig, vectors: Tensor) -> tuple[float, float]:
    """Seconds of an epoch, and the last reconstruction loss."""
    torch.manual_seed(0)
    model = QuantizingAutoencoder(config, vectors.shape[1]).to(vectors.device)
    start_codebooks(model, vectors, seed=0)
    started = time.perf_counter()
    history = train_autoencoder(model, vectors, NoProgress())
    seconds = time.perf_counter() - started
    return seconds / config.epochs, history.rows[-1]["reconstruction_loss"]


def train_theirs(config: ResidualVaeConfig, vectors: Tensor) -> tuple[float, float]:
    """The same with the library's residual quantizer between the same networks."""
    torch.manual_seed(0)
    encoder, decoder = build_autoencoder(vectors.shape[1], config.hidden, config.code_dimension)
    learned = config.codebook == "learned"
    quantizer = ResidualVQ(
        dim=config.code_dimension,
        num_quantizers=config.levels,
        codebook_size=config.codewords,
        kmeans_init=True,
        learnable_codebook=learned,
        ema_update=not learned,
        decay=config.ema_decay,
        rotation_trick=config.gradient == "rotation",
        commitment_weight=config.commitment_weight,
        # Its restart of unused codewords needs the moving averages.
        threshold_ema_dead_code=0 if learned else 1,
    )
    network = torch.nn.ModuleList([encoder, quantizer, decoder]).to(vectors.device)
    with torch.no_grad():
        quantizer(encoder(vectors))  # initializes the codebooks
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, fused=True)
    started = time.perf_counter()
    for _ in range(config.epochs):
        total = vectors.new_zeros(())
        order = torch.randperm(len(vectors), device=vectors.device)
        batches = order.tensor_split(math.ceil(len(vectors) / config.batch_size))
        for rows in batches:
            batch = vectors[rows]
            quantized, _, commitment = quantizer(encoder(batch))
            decoded = functional.normalize(decoder(quantized))
            reconstruction = (batch - decoded).square().sum() / len(batch)
            loss = reconstruction + commitment.sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += reconstruction.detach()
        last = total.item() / len(batches)
    return (time.perf_counter() - started) / config.epochs, last


def main() -> None:
    """Run all and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_embeddings = Path(tempfile.gettempdir()) / "tiger_benchmarks" / "beauty_minilm.npy"
    parser.add_argument("--embeddings", type=Path, default=default_embeddings)
    parser.add_argument("--epochs", type=int, default=20, help="a run; scaled to 1,000")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    array = beauty_vectors(arguments.embeddings)
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    vectors = torch.from_numpy(array).to(choose_device().device)

    print(
        f"{len(array):,} × {array.shape[1]} vectors, {vectors.device}, {arguments.threads} threads"
    )
    print(
        f"{'seconds for 1,000 epochs':36}{'library':>9}{'ours':>9}{'speed':>8}   last loss (both)"
    )
    slowest = math.inf
    for name, choices in VARIANTS.items():
        config = ResidualVaeConfig(epochs=arguments.epochs, sinkhorn_epsilon=0, **choices)
        rounds = [
            (train_theirs(config, vectors), train_ours(config, vectors)) for _ in range(ROUNDS)
        ]
        theirs, ours = (min(seconds for seconds, _ in runs) for runs in zip(*rounds, strict=True))
        slowest = min(slowest, theirs / ours)
        losses = [f"{loss:.3f}" for _, loss in rounds[0]]
        print(
            f"{name:36}{1000 * theirs:9.0f}{1000 * ours:9.0f}{theirs / ours:7.2f}×   "
            f"{' and '.join(losses)}",
            flush=True,
        )
    print(f"Target: at least as fast: {'met' if slowest >= 1 else 'MISSED'}")


if __name__ == "__main__":
    main()
