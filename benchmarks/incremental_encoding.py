"""Adding 1% to a catalog, against encoding it whole.

    python benchmarks/incremental_encoding.py                   # stand-in encoder, 100,000 items
    python benchmarks/incremental_encoding.py --encoder real --items 5000

Both sides start from raw files and end with semantic IDs, through the same functions as the assets.
With `hashing` the texts are encoded by hashed words through a random projection, at a fixed price
a text that stands for a network (`--milliseconds`, about what all-MiniLM-L6-v2 takes on two cores);
the rest is real. The part that does not encode is shown by itself.
"""

import argparse
import tempfile
import time
import zlib
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.catalog.config import DataConfig, FilterConfig, IncomingConfig, SourceConfig
from tiger_pipeline.catalog.item_text import build_item_texts
from tiger_pipeline.encoding.config import EncoderConfig, SentenceTransformerConfig
from tiger_pipeline.encoding.embed import EmbeddingResult, embed_item_texts
from tiger_pipeline.encoding.embedding_table import warm_embeddings
from tiger_pipeline.encoding.encoder import load_encoder
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.config import ResidualKMeansConfig
from tiger_pipeline.semantic_ids.cold_table import ColdTable
from tiger_pipeline.storage.fingerprint import fingerprint_files
from tiger_pipeline.storage.tables import read_table, write_table
from tiger_pipeline.workflows.codebooks import assign_semantic_ids, fit_codebooks
from tiger_pipeline.workflows.cold_items import CatalogNow, grow_cold_table

WORDS = 20_000


class HashingEncoder:
    """Sums of a random vector a word; each text takes `milliseconds`."""

    dimension = 384

    def __init__(self, milliseconds: float) -> None:
        self._seconds = milliseconds / 1000
        self._vectors = np.random.default_rng(0).normal(size=(WORDS, 384)).astype(np.float32)

    def token_lengths(self, texts: list[str]) -> np.ndarray:
        """Words of each text."""
        return np.array([len(text.split()) for text in texts], dtype=np.int32)

    def encode_batch(self, texts: list[str]) -> np.ndarray:
        """float32[n, 384], of length 1."""
        deadline = time.perf_counter() + self._seconds * len(texts)
        rows = [[zlib.crc32(word.encode()) % WORDS for word in text.split()] for text in texts]
        vectors = np.stack([self._vectors[row].sum(axis=0) for row in rows])
        time.sleep(max(0.0, deadline - time.perf_counter()))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_items(path: Path, first: int, count: int) -> None:
    """Items of 30 random words each."""
    generator = np.random.default_rng(first)
    words = generator.integers(0, WORDS, size=(count, 30))
    lines = [
        f"i{first + row}\t{' '.join(f'w{word}' for word in words[row])}\tBrand {row % 97}\tA > B"
        for row in range(count)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["item_id\ttitle\tbrand\tcategories", *lines]) + "\n")


def write_source(folder: Path, items: int) -> None:
    """A source in which every item has one interaction."""
    write_items(folder / "items.tsv", 0, items)
    picked = np.random.default_rng(0).permutation(items)
    rows = [f"u{place // 5}\ti{item}\t{place}" for place, item in enumerate(picked)]
    (folder / "interactions.tsv").write_text("\n".join(["user_id\titem_id\torder", *rows]))


class Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """Book the time since the last lap on `step`."""
        now = time.perf_counter()
        self.seconds[step] = now - self._last
        self._last = now


def embed(
    folder: Path, encoder: EncoderConfig, milliseconds: float | None, clock: Clock
) -> tuple[object, EmbeddingResult]:
    """Raw files to stored embeddings; returns the items and the result."""
    config = DataConfig(
        source=SourceConfig(path=str(folder)),
        filter=FilterConfig(),
        incoming=IncomingConfig(settle_seconds=0),
    )
    catalog = build_catalog(config, folder)
    write_table(folder / "store" / "items.parquet", catalog.items)
    clock.lap("read the catalog")
    texts = build_item_texts(catalog.items, config.text)
    write_table(folder / "store" / "item_texts.parquet", texts)
    clock.lap("item texts")

    def load(settings: EncoderConfig, device: object) -> object:
        return load_encoder(settings) if milliseconds is None else HashingEncoder(milliseconds)

    result = embed_item_texts(texts, encoder, folder / "store" / "cache", load=load)
    clock.lap("embed (cache look-up and new texts)")
    write_table(folder / "store" / "item_embeddings.parquet", result.table)
    warm = warm_embeddings(result.table, catalog.items)
    write_table(folder / "store" / "warm_item_embeddings.parquet", warm)
    clock.lap("write embeddings, barrier")
    return catalog.items, result


def grow(folder: Path, items: object, result: EmbeddingResult, clock: Clock) -> int:
    """Append the new items' semantic IDs; returns how many joined."""
    store = folder / "store"
    catalog = CatalogNow(
        read_table(store / "semantic_ids.parquet"),
        items,
        result.table,
        ("title", "categories", "brand"),
    )
    path = store / "cold_semantic_ids.parquet"
    earlier = ColdTable.from_table(read_table(path)) if path.exists() else None
    growth = grow_cold_table(catalog, earlier, store / "codebooks", datetime.now(timezone.utc))
    write_table(path, growth.table.to_table())
    clock.lap("semantic IDs of the new items")
    return growth.version.joined if growth.version else 0


def show(title: str, clock: Clock) -> float:
    """Print the steps; returns their sum."""
    print(f"\n{title}")
    for step, seconds in clock.seconds.items():
        print(f"  {step:<40} {seconds:8.2f} s")
    total = sum(clock.seconds.values())
    print(f"  {'total':<40} {total:8.2f} s")
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--encoder", choices=["hashing", "real"], default="hashing")
    parser.add_argument("--milliseconds", type=float, default=6.0, help="a text, with hashing")
    parser.add_argument("--codewords", type=int, default=256)
    options = parser.parse_args()
    milliseconds = options.milliseconds if options.encoder == "hashing" else None
    encoder = SentenceTransformerConfig()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_source(folder, options.items)
        whole = Clock()
        _, result = embed(folder, encoder, milliseconds, whole)
        whole_seconds = show(f"The whole catalog: {result.encoded:,} texts encoded", whole)

        store = folder / "store"
        warm = read_table(store / "warm_item_embeddings.parquet")
        quantizer = ResidualKMeansConfig(codewords=options.codewords, iterations=3)
        fit_codebooks(quantizer, warm, store / "codebooks", store / "work", NoProgress())
        ids = assign_semantic_ids(store / "codebooks", warm)
        made_by = fingerprint_files(sorted((store / "codebooks").iterdir()))
        table = ids.to_table(made_by).append_column("text_hash", warm["text_hash"])
        write_table(store / "semantic_ids.parquet", table)

        new = max(options.items // 100, 1)
        write_items(folder / "incoming" / "new.tsv", options.items, new)
        added = Clock()
        items, result = embed(folder, encoder, milliseconds, added)
        joined = grow(folder, items, result, added)
        added_seconds = show(
            f"1% more: {result.encoded:,} texts encoded, {joined:,} items joined", added
        )
        print(f"\n1% more costs {added_seconds / whole_seconds:.2%} of the whole.")


if __name__ == "__main__":
    main()
