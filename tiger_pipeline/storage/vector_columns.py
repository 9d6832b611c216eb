"""Parquet files whose vectors need not fit in the memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.mapped import MAPPED_FROM_BYTES, mapped_matrix

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS_PER_READ = 16384
_BYTES_PER_READ = 2**20


def read_columns(
    path: Path, columns: list[str] | None, mapped_from_bytes: int = MAPPED_FROM_BYTES
) -> "pa.Table":
    """Read a parquet file; large columns of vectors are mapped, all else is in the memory.

    Args:
        path: the file.
        columns: to read; None for all.
        mapped_from_bytes: size from which a column of type fixed_size_list<float32> is mapped. It
            has one chunk then, so it is one matrix without a copy.

    Raises:
        ArtifactError: there is no space for the vectors, or a vector of a mapped column is null.
        OSError, pyarrow.ArrowInvalid: the file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, buffer_size=_BYTES_PER_READ) as file:
        schema = file.schema_arrow
        names = schema.names if columns is None else columns
        mapped = {
            name: _map_column(path, file, schema.field(name))
            for name in names
            if _vector_bytes(file, schema.field(name)) >= mapped_from_bytes
        }
    if not mapped:
        return pq.read_table(path, columns=columns)
    rest = pq.read_table(path, columns=[name for name in names if name not in mapped])
    kept = pa.schema([schema.field(name) for name in names], metadata=schema.metadata)
    return pa.table([mapped.get(name) or rest[name] for name in names], schema=kept)


def rows_per_group(table: "pa.Table") -> int:
    """Rows of a row group when `table` is written: a group is read and written in the memory."""
    row_bytes = max(table.nbytes // max(table.num_rows, 1), 1)
    return min(max(MAPPED_FROM_BYTES // row_bytes, _ROWS_PER_READ), 2**20)


def _vector_bytes(file: "pq.ParquetFile", field: "pa.Field") -> int:
    import pyarrow as pa

    kind = field.type
    if not isinstance(kind, pa.FixedSizeListType) or kind.value_type != pa.float32():
        return 0
    return 4 * kind.list_size * file.metadata.num_rows


def _map_column(path: Path, file: "pq.ParquetFile", field: "pa.Field") -> "pa.FixedSizeListArray":
    import pyarrow as pa

    dimension = field.type.list_size
    blocks = _blocks(path, file, field)
    matrix = mapped_matrix(blocks, file.metadata.num_rows, dimension)
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), type=field.type)


def _blocks(path: Path, file: "pq.ParquetFile", field: "pa.Field") -> "Iterator[np.ndarray]":
    for batch in file.iter_batches(_ROWS_PER_READ, columns=[field.name]):
        column = batch.column(0)
        if column.null_count:
            raise ArtifactError(
                f"The column {field.name!r} of {path} has vectors that are null. Materialize its "
                "asset again."
            )
        yield column.flatten().to_numpy().reshape(len(column), -1)
