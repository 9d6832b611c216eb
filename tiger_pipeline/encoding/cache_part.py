"""One part of the embedding cache: a parquet file of text hashes and their vectors.

A vector is stored as the bytes of its little-endian float32 numbers: parquet reads those 8 times as
fast as a list column (measured, 384 dimensions).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.atomic import atomic_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_NUMBER = np.dtype("<f4")
_ROWS_PER_GROUP = 1024
"""Rows that are read together: few enough that one wanted vector does not cost a whole part."""


class BrokenPartError(Exception):
    """A part whose content is damaged. The cache catches it; no user sees it."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = str(reason)


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    """Tell damage from a file that is there but cannot be accessed.

    Arrow reports both as OSError; only the operating system's own errors carry a number.
    """
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise BrokenPartError(path, "it vanished while it was read") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None) is not None:
            raise ArtifactError(
                f"The embedding cache's part {path} cannot be read: {error}."
            ) from error
        raise BrokenPartError(path, error) from error


@dataclass(frozen=True)
class CachePart:
    """A part whose footer was read; the file is opened anew for each read, so as to hold no handle.

    Attributes:
        path: the file.
        metadata: the footer.
        dimension: numbers in a vector, d.
    """

    path: Path
    metadata: "pq.FileMetaData"
    dimension: int

    @staticmethod
    def write(path: Path, text_hashes: list[str], vectors: np.ndarray) -> None:
        """Write a part that appears whole or not at all.

        Args:
            path: of the new file.
            text_hashes: of n texts.
            vectors: float32[n, d].

        Raises:
            ArtifactError: the file could not be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = np.ascontiguousarray(vectors, dtype=_NUMBER)
        embedding = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(numbers.shape[1] * _NUMBER.itemsize),
            len(numbers),
            [None, pa.py_buffer(numbers)],
        )
        table = pa.table({"text_hash": pa.array(text_hashes, pa.string()), "embedding": embedding})
        with atomic_file(path) as scratch:
            pq.write_table(
                table,
                scratch,
                row_group_size=_ROWS_PER_GROUP,
                compression="none",  # vectors hardly shrink
                use_dictionary=False,
                write_statistics=False,  # the least and the largest hash help nobody
                write_page_checksum=True,
            )

    @classmethod
    def open(cls, path: Path) -> "CachePart":
        """Read a part's footer.

        Raises:
            BrokenPartError: it is damaged, or not a part.
            ArtifactError: it cannot be accessed.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        with _naming_damage(path):
            with pq.ParquetFile(path) as file:
                metadata, schema = file.metadata, file.schema_arrow
            columns = dict(zip(schema.names, schema.types, strict=True))
            embedding = columns.get("embedding")
            if columns.get("text_hash") != pa.string() or not isinstance(
                embedding, pa.FixedSizeBinaryType
            ):
                raise BrokenPartError(path, f"its columns are {columns}")
        return cls(path, metadata, embedding.byte_width // _NUMBER.itemsize)

    def text_hashes(self) -> "pa.ChunkedArray":
        """The text hashes, string[n]; no vector is read."""
        return self._read(range(self.metadata.num_row_groups), "text_hash")

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors at some rows, float32[k, d]; only their row groups are read.

        Args:
            rows: int64[k], ascending.
        """
        groups = range(self.metadata.num_row_groups)
        sizes = np.array([self.metadata.row_group(group).num_rows for group in groups])
        ends = np.cumsum(sizes)
        group_of_row = np.searchsorted(ends, rows, side="right")
        wanted, rank = np.unique(group_of_row, return_inverse=True)
        starts = np.cumsum(sizes[wanted]) - sizes[wanted]
        column = self._read(wanted.tolist(), "embedding").combine_chunks()
        block = np.frombuffer(column.buffers()[1], dtype=_NUMBER).reshape(-1, self.dimension)
        return block[starts[rank] + rows - (ends - sizes)[group_of_row]]

    def _read(self, groups: "range | list[int]", column: str) -> "pa.ChunkedArray":
        import pyarrow.parquet as pq

        with (
            _naming_damage(self.path),
            pq.ParquetFile(
                self.path, metadata=self.metadata, page_checksum_verification=True
            ) as file,
        ):
            values = file.read_row_groups(list(groups), [column]).column(0)
            expected = sum(self.metadata.row_group(group).num_rows for group in groups)
            if len(values) != expected or values.null_count:
                raise BrokenPartError(self.path, f"it lacks values of {column}")
            return values
