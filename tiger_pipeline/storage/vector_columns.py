"""Parquet files whose vectors need not fit in the memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.mapped import (
    MAPPED_FROM_BYTES,
    ROWS_PER_BLOCK,
    mapped_matrix,
    release_read_pages,
)

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

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
            if _vector_bytes(schema.field(name), file.metadata.num_rows) >= mapped_from_bytes
        }
    if not mapped:
        return pq.read_table(path, columns=columns)
    rest = pq.read_table(path, columns=[name for name in names if name not in mapped])
    kept = pa.schema([schema.field(name) for name in names], metadata=schema.metadata)
    return pa.table([mapped.get(name) or rest[name] for name in names], schema=kept)


def take_rows(
    table: "pa.Table", rows: "np.ndarray", mapped_from_bytes: int = MAPPED_FROM_BYTES
) -> "pa.Table":
    """Rows of a table (int[m]) in the given order; large columns of vectors are mapped again.

    Raises:
        ArtifactError: there is no space for the vectors.
    """
    import numpy as np
    import pyarrow as pa

    if len(rows) == len(table) and np.array_equal(rows, np.arange(len(rows))):
        return table

    def taken(field: pa.Field) -> pa.Array | pa.ChunkedArray:
        column = table[field.name]
        is_large = _vector_bytes(field, len(rows)) >= mapped_from_bytes
        if not is_large or column.num_chunks != 1 or column.null_count:
            return column.take(pa.array(rows))
        return _mapped_array(_chosen_blocks(column.chunk(0), rows), len(rows), field.type)

    return pa.table([taken(field) for field in table.schema], schema=table.schema)


def rows_per_group(table: "pa.Table") -> int:
    """Rows of a row group when `table` is written: a group is read and written in the memory."""
    row_bytes = max(table.nbytes // max(table.num_rows, 1), 1)
    return min(max(MAPPED_FROM_BYTES // row_bytes, ROWS_PER_BLOCK), 2**20)


def _vector_bytes(field: "pa.Field", n_rows: int) -> int:
    import pyarrow as pa

    kind = field.type
    if not isinstance(kind, pa.FixedSizeListType) or kind.value_type != pa.float32():
        return 0
    return 4 * kind.list_size * n_rows


def _map_column(path: Path, file: "pq.ParquetFile", field: "pa.Field") -> "pa.FixedSizeListArray":
    return _mapped_array(_stored_blocks(path, file, field), file.metadata.num_rows, field.type)


def _mapped_array(
    blocks: "Iterator[np.ndarray]", n_rows: int, kind: "pa.FixedSizeListType"
) -> "pa.FixedSizeListArray":
    import pyarrow as pa

    matrix = mapped_matrix(blocks, n_rows, kind.list_size)
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), type=kind)


def _stored_blocks(path: Path, file: "pq.ParquetFile", field: "pa.Field") -> "Iterator[np.ndarray]":
    # One iteration over all groups would hold all that it has read until it ends.
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(ROWS_PER_BLOCK, row_groups=[group], columns=[field.name]):
            column = batch.column(0)
            if column.null_count:
                raise ArtifactError(
                    f"The column {field.name!r} of {path} has vectors that are null. Materialize "
                    "its asset again."
                )
            yield column.flatten().to_numpy().reshape(len(column), -1)


def _chosen_blocks(column: "pa.FixedSizeListArray", rows: "np.ndarray") -> "Iterator[np.ndarray]":
    import pyarrow as pa

    for start in range(0, len(rows), ROWS_PER_BLOCK):
        chosen = column.take(pa.array(rows[start : start + ROWS_PER_BLOCK]))
        yield chosen.flatten().to_numpy().reshape(len(chosen), -1)
        release_read_pages()
