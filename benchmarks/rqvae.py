"""RQ-VAE training (3 × 256, batches of 1,024) against vector-quantize-pytorch's ResidualVQ.

    pip install -e '.[cpu,bench]' -c constraints.txt
    python benchmarks/rqvae.py [--embeddings beauty.npy] [--epochs 40] [--threads 2]

The same networks (384 → 512-256-128 → 32 and back), optimizer, shuffle and batches are trained in
the same process, once with this package's codebooks and once with the library's, both from k-means.
They take turns of a few epochs, so that a change of the machine's speed meets both; the sum is
scaled to 1,000 epochs. Ours include the looks at all items' codes every 10 epochs, which choose the
epoch. The last row is ours as shipped, with Sinkhorn at the last level, which the library lacks:
against the library's straight-through training without it. The vectors are those of
`residual_kmeans.py`. Prints seconds, their ratio, that of the CPU seconds (which a busy machine
changes less), and the reconstruction loss of the last epoch.
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
from tiger_pipeline.quantization.config import ResidualVaeConfig
from tiger_pipeline.quantization.vae.initialization import start_codebooks
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline.quantization.vae.network import build_autoencoder
from tiger_pipeline.quantization.vae.training import AutoencoderTraining

EPOCHS = 1000
PLAIN = {"sinkhorn_epsilon": 0.0}
VARIANTS = {
    "gradient, straight-through": {**PLAIN},
    "moving averages, straight-through": {**PLAIN, "codebook": "ema"},
    "gradient, rotation trick": {**PLAIN, "gradient": "rotation"},
    "as shipped (Sinkhorn in ours alone)": {},
}


class Ours:
    """Our training, epoch by epoch."""

    def __init__(self, config: ResidualVaeConfig, vectors: Tensor) -> None:
        torch.manual_seed(0)
        model = QuantizingAutoencoder(config, vectors.shape[1]).to(vectors.device)
        start_codebooks(model, vectors, seed=0)
        self._training = AutoencoderTraining(model, vectors)

    def run_epoch(self) -> float:
        """Mean reconstruction loss."""
        self._training.run_epoch()
        return self._training.rows[-1]["reconstruction_loss"]


class Theirs:
    """The same with the library's residual quantizer between the same networks."""

    def __init__(self, config: ResidualVaeConfig, vectors: Tensor) -> None:
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
        self._network = torch.nn.ModuleList([encoder, quantizer, decoder]).to(vectors.device)
        with torch.no_grad():
            quantizer(encoder(vectors))  # initializes the codebooks
        parameters = self._network.parameters()
        self._optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, fused=True)
        self._vectors = vectors
        self._batches = math.ceil(len(vectors) / config.batch_size)

    def run_epoch(self) -> float:
        """Mean reconstruction loss."""
        encoder, quantizer, decoder = self._network
        total = self._vectors.new_zeros(())
        order = torch.randperm(len(self._vectors), device=self._vectors.device)
        for rows in order.tensor_split(self._batches):
            batch = self._vectors[rows]
            quantized, _, commitment = quantizer(encoder(batch))
            decoded = functional.normalize(decoder(quantized))
            reconstruction = (batch - decoded).square().sum() / len(batch)
            loss = reconstruction + commitment.sum()
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            total += reconstruction.detach()
        return total.item() / self._batches


def take_turns(
    trainings: list[Ours | Theirs], epochs: int, turn: int
) -> list[tuple[float, float, float]]:
    """Seconds and CPU seconds of an epoch and the last loss of each, in turns of `turn` epochs."""
    seconds, losses = np.zeros((len(trainings), 2)), [math.nan] * len(trainings)
    for training in trainings:
        training.run_epoch()  # warms up, and does not count
    for _ in range(0, epochs, turn):
        for index, training in enumerate(trainings):
            started = np.array([time.perf_counter(), time.process_time()])
            for _ in range(turn):
                losses[index] = training.run_epoch()
            seconds[index] += np.array([time.perf_counter(), time.process_time()]) - started
    timed = turn * math.ceil(epochs / turn)
    return [(*total / timed, loss) for total, loss in zip(seconds, losses, strict=True)]


def main() -> None:
    """Run all and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_embeddings = Path(tempfile.gettempdir()) / "tiger_benchmarks" / "beauty_minilm.npy"
    parser.add_argument("--embeddings", type=Path, default=default_embeddings)
    parser.add_argument("--epochs", type=int, default=40, help="timed; scaled to 1,000")
    parser.add_argument("--turn", type=int, default=10, help="epochs before the other's turn")
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
        f"{f'seconds for {EPOCHS:,} epochs':36}{'library':>9}{'ours':>9}{'speed':>8}{'by CPU':>9}"
        "   last losses"
    )
    ratios = {}
    for name, choices in VARIANTS.items():
        config = ResidualVaeConfig(epochs=EPOCHS, **choices)
        trainings = [Theirs(config, vectors), Ours(config, vectors)]
        (theirs, their_cpu, their_loss), (ours, our_cpu, our_loss) = take_turns(
            trainings, arguments.epochs, arguments.turn
        )
        ratios[name] = theirs / ours
        print(
            f"{name:36}{EPOCHS * theirs:9.0f}{EPOCHS * ours:9.0f}{theirs / ours:7.2f}×"
            f"{their_cpu / our_cpu:8.2f}×   "
            f"{their_loss:.3f} and {our_loss:.3f}",
            flush=True,
        )
    met = min(ratios.values()) >= 1
    print(f"Target: at least as fast in every row: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
