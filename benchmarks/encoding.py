"""Texts a second of our encoding against `SentenceTransformer.encode` with its defaults.

Both encode the same texts of Amazon Beauty in the same process with the same weights, in turn, so
that other load on the machine meets both. Ours is timed with all it does in a run: hashing the
model's files, tokenizing for the length, writing the cache, building the table. Loading the
network is timed for neither.

    python benchmarks/encoding.py --items 3000 --runs 5

The data folder is named by TIGER_REAL_DATA (default: ../shared/data beside the repository).
"""

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from tiger_pipeline.catalog.item_text import text_hash
from tiger_pipeline.compute_device import choose_device
from tiger_pipeline.encoding.config import SentenceTransformerConfig
from tiger_pipeline.encoding.embed import embed_item_texts
from tiger_pipeline.encoding.embedding_table import vectors_of
from tiger_pipeline.encoding.encoder import load_encoder
from tiger_pipeline.encoding.model_source import locate_model

_REPOSITORY = Path(__file__).resolve().parents[1]


def read_texts(items: int) -> pa.Table:
    """The first texts of Beauty: item_id, text, text_hash."""
    data = Path(os.environ.get("TIGER_REAL_DATA", _REPOSITORY.parent / "shared" / "data"))
    path = data / "amazon2014_beauty" / "items.tsv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:items]
    texts = [
        f"TITLE: {row['title']}.\nCATEGORIES: {row['categories']}.\nBRAND: {row['brand']}."
        for row in rows
    ]
    return pa.table(
        {
            "item_id": [row["item_id"] for row in rows],
            "text": texts,
            "text_hash": [text_hash(text) for text in texts],
        }
    )


def timed(encode: Callable[[], np.ndarray]) -> tuple[np.ndarray, float, float]:
    """Vectors, wall seconds, CPU seconds (of all threads) of one run."""
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = encode()
    return vectors, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()

    from sentence_transformers import SentenceTransformer

    texts = read_texts(arguments.items)
    config = SentenceTransformerConfig()
    device = choose_device()
    theirs = SentenceTransformer(locate_model(config.name).location, device=str(device.device))
    encoder = load_encoder(config, device)

    def encode_theirs() -> np.ndarray:
        return np.asarray(theirs.encode(texts["text"].to_pylist()))

    def encode_ours() -> np.ndarray:
        with tempfile.TemporaryDirectory() as cache_dir:
            result = embed_item_texts(
                texts, config, Path(cache_dir), device, load=lambda *_: encoder
            )
            return vectors_of(result.table)

    ways = {"SentenceTransformer.encode": encode_theirs, "tiger_pipeline": encode_ours}
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    vectors = {}
    theirs.encode(texts["text"].to_pylist()[:32])
    for run in range(arguments.runs):
        # The order alternates, so that neither is always the one that meets a warm machine.
        for way in list(ways)[:: 1 if run % 2 == 0 else -1]:
            vectors[way], wall, cpu = timed(ways[way])
            seconds[way].append((wall, cpu))
            print(f"run {run + 1}: {way}: {wall:.2f} s ({cpu:.2f} s of CPU)", flush=True)

    walls = {way: median(wall for wall, _ in seconds[way]) for way in ways}
    cpus = {way: median(cpu for _, cpu in seconds[way]) for way in ways}
    for way in ways:
        print(
            f"{way}: median {walls[way]:.2f} s, {texts.num_rows / walls[way]:.1f} texts/s "
            f"({cpus[way]:.2f} s of CPU)"
        )
    base, ours = ways
    difference = np.abs(vectors[base] - vectors[ours]).max()
    print(f"ratio of wall time: {walls[base] / walls[ours]:.2f}")
    print(f"ratio of CPU time: {cpus[base] / cpus[ours]:.2f}")
    print(f"largest difference of a vector's number: {difference:.1e}")


if __name__ == "__main__":
    main()
