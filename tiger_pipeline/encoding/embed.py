"""Item texts to embeddings: what the cache has is read, what it lacks is encoded and kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.encoding.batching import (
    default_tokens_per_batch,
    encode_in_batches,
    token_lengths,
)
from tiger_pipeline.encoding.cache import CachedEmbeddings, EmbeddingCache
from tiger_pipeline.encoding.config import EncoderConfig
from tiger_pipeline.encoding.embedding_table import describe_ids, list_array_of
from tiger_pipeline.encoding.encoder import TextEncoder, load_encoder
from tiger_pipeline.encoding.model_source import encoder_fingerprint
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import NoProgress, Progress
from tiger_pipeline.storage.tables import with_metadata

if TYPE_CHECKING:
    import pyarrow as pa

    from tiger_pipeline.compute_device import ComputeDevice

_TEXTS_PER_PART = 50_000
_SECONDS_PER_PART = 60.0


@dataclass(frozen=True)
class EmbeddingResult:
    """The `item_embeddings` artifact and how it came about.

    Attributes:
        table: item_id, text_hash, embedding; the encoder is in the metadata.
        encoded: distinct texts that the encoder was given.
        cached: distinct texts whose vectors were in the cache.
        seconds: time for all of it.
        encoder_fingerprint: of the encoder, see `encoder_fingerprint`.
    """

    table: "pa.Table"
    encoded: int
    cached: int
    seconds: float
    encoder_fingerprint: str


def embed_item_texts(
    texts: "pa.Table",
    config: EncoderConfig,
    cache_dir: Path,
    device: "ComputeDevice | None" = None,
    progress: Progress | None = None,
    load: "Callable[[EncoderConfig, ComputeDevice], TextEncoder]" = load_encoder,
) -> EmbeddingResult:
    """Embed item texts, encoding only those that the cache lacks.

    Equal texts are encoded once. The network is loaded only if a text is missing. Vectors are
    written to the cache at least once a minute, so an interrupted run loses at most that minute.
    An empty text is encoded like any other.

    Args:
        texts: item_id, text, text_hash of n items.
        config: the encoder.
        cache_dir: the cache of all encoders, `ArtifactStore.embedding_cache`.
        device: where to compute; by default `choose_device` decides, once a text is missing.
        progress: where to report to.
        load: makes the encoder; replace it to bring one that is loaded already.

    Raises:
        InputError: there is no text, or the encoder gave NaN or infinity for one.
        ConfigurationError: the encoder cannot be found or loaded, or the memory does not suffice.
        ArtifactError: the cache cannot be read or written.
    """
    started = time.perf_counter()
    progress = progress or NoProgress()
    if not texts.num_rows:
        raise InputError("There is no item text to encode: the catalog is empty.")
    fingerprint = encoder_fingerprint(config)
    cache = EmbeddingCache(cache_dir / fingerprint, progress)

    hashes = texts["text_hash"].combine_chunks().dictionary_encode()
    known = cache.lookup(hashes.dictionary)
    missing = np.flatnonzero(~known.found)
    vectors = known.vectors
    if len(missing):
        first_row = np.unique(hashes.indices.to_numpy(), return_index=True)[1]
        new = _encode_missing(
            texts.select(["item_id", "text", "text_hash"]).take(first_row[missing]),
            lambda device: load(config, device),
            device,
            config.tokens_per_batch,
            cache,
            progress,
        )
        vectors = _merged(known, new)
    table = _embedding_table(texts, vectors[hashes.indices.to_numpy()], fingerprint, config)
    seconds = time.perf_counter() - started
    return EmbeddingResult(table, len(missing), int(known.found.sum()), seconds, fingerprint)


def _merged(known: CachedEmbeddings, new: np.ndarray) -> np.ndarray:
    """Known vectors where there are some, new ones in the places between: float32[n, d]."""
    if not known.found.any():
        return new
    vectors = np.empty((len(known.found), new.shape[1]), dtype=np.float32)
    vectors[known.found] = known.vectors
    vectors[~known.found] = new
    return vectors


def _embedding_table(
    texts: "pa.Table", vectors: np.ndarray, fingerprint: str, config: EncoderConfig
) -> "pa.Table":
    import pyarrow as pa

    table = pa.table(
        {
            "item_id": texts["item_id"],
            "text_hash": texts["text_hash"],
            "embedding": list_array_of(vectors),
        }
    )
    return with_metadata(
        table,
        {
            "encoder_fingerprint": fingerprint,
            "encoder": config.model_dump(mode="json"),
            "dimension": vectors.shape[1],
        },
    )


def _encode_missing(
    texts: "pa.Table",
    load: "Callable[[ComputeDevice], TextEncoder]",
    device: "ComputeDevice | None",
    tokens_per_batch: int | None,
    cache: EmbeddingCache,
    progress: Progress,
) -> np.ndarray:
    """Encode distinct texts (rows of `texts`) and keep them in the cache: float32[n, d]."""
    from tiger_pipeline.compute_device import choose_device, explain_out_of_memory

    device = device or choose_device()
    encoder = load(device)
    tokens_per_batch = tokens_per_batch or default_tokens_per_batch(device)
    strings = texts["text"].to_pylist()
    hashes = texts["text_hash"].to_pylist()
    lengths = token_lengths(encoder, strings)
    vectors = np.empty((len(strings), encoder.dimension), dtype=np.float32)
    done = 0
    with (
        explain_out_of_memory(f"Lower model.encoder.tokens_per_batch (now {tokens_per_batch:,})"),
        progress.task("Encoding item texts", int(lengths.sum()), unit="tokens") as task,
        _PartWriter(cache) as writer,
    ):
        for rows, encoded in encode_in_batches(encoder, strings, lengths, tokens_per_batch):
            _check_finite(encoded, texts["item_id"].take(rows))
            vectors[rows] = encoded
            writer.add([hashes[row] for row in rows], encoded)
            done += len(rows)
            task.advance(int(lengths[rows].sum()), texts=done)
    return vectors


def _check_finite(vectors: np.ndarray, item_ids: "pa.ChunkedArray") -> None:
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        bad = item_ids.take(np.flatnonzero(~finite)).to_pylist()
        raise InputError(
            f"The encoder gave NaN or infinity for the text of {describe_ids(bad)}. Its weights "
            "may be damaged, or overflow in half precision: try another model.encoder or the CPU."
        )


class _PartWriter:
    """Gathers vectors and writes a cache part when there are many or the last one is long ago.

    Whatever ends the work early, what was gathered is written first.
    """

    def __init__(self, cache: EmbeddingCache) -> None:
        self._cache = cache
        self._start_part()

    def _start_part(self) -> None:
        self._hashes: list[str] = []
        self._vectors: list[np.ndarray] = []
        self._started = time.monotonic()

    def add(self, hashes: list[str], vectors: np.ndarray) -> None:
        self._hashes += hashes
        self._vectors.append(vectors)
        overdue = time.monotonic() - self._started > _SECONDS_PER_PART
        if overdue or len(self._hashes) >= _TEXTS_PER_PART:
            self._write_part()

    def _write_part(self) -> None:
        hashes, vectors = self._hashes, self._vectors
        self._start_part()
        if hashes:
            self._cache.append(hashes, np.concatenate(vectors))

    def __enter__(self) -> "_PartWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write_part()
