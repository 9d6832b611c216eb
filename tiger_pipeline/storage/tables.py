"""Parquet tables with a checked schema and JSON metadata of our own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.atomic import atomic_file
from tiger_pipeline.storage.vector_columns import read_columns, rows_per_group

if TYPE_CHECKING:
    import pyarrow as pa

_METADATA_KEY = b"tiger_pipeline"


def with_metadata(table: "pa.Table", metadata: dict[str, Any]) -> "pa.Table":
    """The same table carrying JSON-like `metadata`, which stays with it on disk."""
    kept = dict(table.schema.metadata or {})
    kept[_METADATA_KEY] = json.dumps(metadata, sort_keys=True).encode()
    return table.replace_schema_metadata(kept)


def metadata_of(table: "pa.Table") -> dict[str, Any]:
    """The metadata given by `with_metadata`, or an empty dict."""
    stored = (table.schema.metadata or {}).get(_METADATA_KEY)
    return json.loads(stored) if stored else {}


def write_table(path: Path, table: "pa.Table") -> None:
    """Write a parquet file that appears whole or not at all."""
    import pyarrow.parquet as pq

    with atomic_file(path) as scratch:
        pq.write_table(table, scratch, compression="zstd", row_group_size=rows_per_group(table))


def read_table(path: Path, columns: "list[str] | None" = None) -> "pa.Table":
    """Read a parquet file; large columns of vectors are mapped, see `vector_columns`.

    Raises:
        ArtifactError: the file is absent, unreadable, or lacks one of `columns`, or there is no
            space to map its vectors.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise ArtifactError(
            f"{path} does not exist. Materialize the asset that makes it, then run this again."
        )
    try:
        present = pq.read_schema(path).names
        missing = [name for name in columns or [] if name not in present]
        if missing:
            raise ArtifactError(
                f"{path} has no column {missing[0]!r} (it has {', '.join(present)}). "
                "Was it written by another version? Materialize its asset again."
            )
        return read_columns(path, columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise ArtifactError(
            f"{path} is not a readable parquet file ({error}). Materialize its asset again."
        ) from error
