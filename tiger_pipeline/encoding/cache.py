"""The content-addressed embedding cache: vectors by text hash, in append-only parquet parts.

One folder holds the vectors of one encoder fingerprint. A part appears whole or not at all and is
never changed, so any number of processes may read and append at the same time; a vector that two
of them wrote is the same vector, and the first found is used.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.encoding.cache_part import BrokenPartError, CachePart
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.progress import NoProgress, Progress

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class CachedEmbeddings:
    """What the cache knew of the texts asked for.

    Attributes:
        found: bool[n], whether each text hash was there.
        vectors: float32[found.sum(), d], in the order of the hashes found.
    """

    found: np.ndarray
    vectors: np.ndarray


class EmbeddingCache:
    """Vectors of one encoder, on disk."""

    def __init__(self, folder: Path, progress: Progress | None = None) -> None:
        """Open the cache.

        Args:
            folder: of this encoder's fingerprint; it need not exist yet.
            progress: is told of parts that were set aside.
        """
        self._folder = folder
        self._progress = progress or NoProgress()

    def lookup(self, text_hashes: "pa.Array") -> CachedEmbeddings:
        """Find vectors; only the row groups that hold a wanted one are read from disk.

        A part that is damaged is renamed to `*.broken` and reported; its texts count as missing.

        Args:
            text_hashes: string[n].

        Raises:
            ArtifactError: parts disagree about the number of dimensions, or cannot be accessed.
        """
        while True:
            try:
                return _lookup(list(self._open_parts()), text_hashes)
            except BrokenPartError as broken:
                self._set_aside(broken)

    def append(self, text_hashes: list[str], vectors: np.ndarray) -> Path:
        """Write a new part.

        Args:
            text_hashes: of n texts.
            vectors: float32[n, d].

        Returns:
            The part's path.

        Raises:
            ArtifactError: a vector is not finite, has another dimension than those in the cache,
                or the part could not be written.
        """
        if vectors.shape[:1] != (len(text_hashes),) or not np.isfinite(vectors).all():
            raise ArtifactError(
                f"The embedding cache {self._folder} takes one finite vector a text; it was given "
                f"an array of shape {vectors.shape} for {len(text_hashes)} texts."
            )
        known = next(self._open_parts(), None)
        if known is not None and known.dimension != vectors.shape[1]:
            raise ArtifactError(
                f"The embedding cache holds vectors of {known.dimension} dimensions ({known.path})"
                f", and the encoder gave {vectors.shape[1]}. Delete {self._folder} and run again."
            )
        path = self._folder / f"part-{uuid.uuid4().hex}.parquet"
        CachePart.write(path, text_hashes, vectors)
        return path

    def _open_parts(self) -> Iterator[CachePart]:
        for path in sorted(self._folder.glob("part-*.parquet")):
            try:
                yield CachePart.open(path)
            except BrokenPartError as broken:
                self._set_aside(broken)

    def _set_aside(self, broken: BrokenPartError) -> None:
        aside = broken.path.with_name(f"{broken.path.name}.broken")
        try:
            broken.path.rename(aside)
        except FileNotFoundError:
            return  # another process that reads this cache was faster
        except OSError as error:
            raise ArtifactError(
                f"The embedding cache's part {broken.path} is damaged ({broken.reason}) and cannot "
                f"be renamed ({error.strerror}). Delete it and run again."
            ) from error
        self._progress.note(
            f"The embedding cache's part {broken.path} is damaged ({broken.reason}). It was "
            f"renamed to {aside.name}; the texts in it are encoded again."
        )


def _lookup(parts: list[CachePart], text_hashes: "pa.Array") -> CachedEmbeddings:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not parts:
        nothing = np.empty((0, 0), dtype=np.float32)
        return CachedEmbeddings(np.zeros(len(text_hashes), dtype=bool), nothing)
    _check_dimensions(parts)
    stored = [part.text_hashes() for part in parts]
    ends = np.cumsum([len(column) for column in stored])
    chunks = [chunk for column in stored for chunk in column.chunks]
    positions = pc.index_in(text_hashes, value_set=pa.chunked_array(chunks, pa.string()))
    found = positions.is_valid().to_numpy(zero_copy_only=False)
    rows = positions.drop_null().to_numpy().astype(np.int64)
    part_of_row = np.searchsorted(ends, rows, side="right")

    vectors = np.empty((len(rows), parts[0].dimension), dtype=np.float32)
    by_row = np.argsort(rows, kind="stable")
    for index in np.unique(part_of_row):
        wanted = by_row[part_of_row[by_row] == index]
        first_row = ends[index] - len(stored[index])
        vectors[wanted] = parts[index].vectors(rows[wanted] - first_row)
    return CachedEmbeddings(found, vectors)


def _check_dimensions(parts: list[CachePart]) -> None:
    for part in parts:
        if part.dimension != parts[0].dimension:
            raise ArtifactError(
                f"Parts of the embedding cache disagree: {parts[0].path} has "
                f"{parts[0].dimension} dimensions, {part.path} has {part.dimension}. Delete the "
                "one that is wrong, and run again."
            )
