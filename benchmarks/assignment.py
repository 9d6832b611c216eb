"""Codes of a million vectors in one call: seconds, and how far the memory grows beyond the vectors.

    python benchmarks/assignment.py [--items 1000000] [--embeddings beauty.npy]

Quantizers of the study's size (3 × 256) are fitted shortly on the vectors of `residual_kmeans.py`,
then assign copies of them with a little noise. Linux only: the peak of the resident memory is
reset before each call and read after it.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from residual_kmeans import beauty_vectors

from tiger_pipeline.quantization.config import (
    BalancedResidualKMeansConfig,
    ResidualKMeansConfig,
    ResidualVaeConfig,
)
from tiger_pipeline.quantization.quantizer import fit_quantizer

CONFIGS = {
    "residual k-means": ResidualKMeansConfig(iterations=3),
    "balanced residual k-means": BalancedResidualKMeansConfig(iterations=1),
    "RQ-VAE": ResidualVaeConfig(epochs=1),
}


def many_vectors(vectors: np.ndarray, items: int) -> np.ndarray:
    """float32[items, d], made block by block, so that its making leaves no higher peak."""
    generator = np.random.default_rng(0)
    many = np.empty((items, vectors.shape[1]), dtype=np.float32)
    for start in range(0, items, len(vectors)):
        block = many[start : start + len(vectors)]
        block[:] = vectors[: len(block)]
        block += 0.01 * generator.standard_normal(block.shape, dtype=np.float32)
    return many


def resident_bytes(field: str) -> int:
    """`VmRSS`, the resident memory now, or `VmHWM`, its peak since the last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"no {field} in /proc/self/status")


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_embeddings = Path(tempfile.gettempdir()) / "tiger_benchmarks" / "beauty_minilm.npy"
    parser.add_argument("--embeddings", type=Path, default=default_embeddings)
    parser.add_argument("--items", type=int, default=1_000_000)
    arguments = parser.parse_args()
    vectors = beauty_vectors(arguments.embeddings)
    quantizers = {name: fit_quantizer(config, vectors) for name, config in CONFIGS.items()}
    many = many_vectors(vectors, arguments.items)
    print(f"{many.shape[0]:,} × {many.shape[1]} vectors, {many.nbytes / 2**20:,.0f} MiB")
    print(f"{'':28}{'seconds':>9}{'items/s':>10}{'codes, MiB':>12}{'peak growth, MiB':>18}")
    for name, quantizer in quantizers.items():
        quantizer.assign(many[:100])  # starts threads and allocators
        Path("/proc/self/clear_refs").write_text("5")
        before = resident_bytes("VmRSS")
        started = time.perf_counter()
        codes = quantizer.assign(many)
        seconds = time.perf_counter() - started
        growth = resident_bytes("VmHWM") - before
        print(
            f"{name:28}{seconds:9.1f}{len(many) / seconds:10,.0f}{codes.nbytes / 2**20:12.0f}"
            f"{growth / 2**20:18.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
