"""The `item_embeddings` artifact: item_id, text_hash, embedding fixed_size_list<float32>[d]."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError, InputError
from tiger_pipeline.storage.mapped import vector_blocks
from tiger_pipeline.storage.tables import metadata_of
from tiger_pipeline.storage.vector_columns import take_rows

if TYPE_CHECKING:
    import pyarrow as pa

_IDS_SHOWN = 5


def list_array_of(vectors: np.ndarray) -> "pa.FixedSizeListArray":
    """Vectors float32[n, d] as an Arrow column; no copy when they are contiguous float32."""
    import pyarrow as pa

    flat = np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), vectors.shape[1])


def vectors_in(column: "pa.ChunkedArray") -> np.ndarray:
    """The vectors of a fixed-size list column, float32[n, d].

    A column of one chunk is not copied: the result is then a read-only view of Arrow's memory.

    Raises:
        ArtifactError: the column is not of lists of equal length, or a list is null.
    """
    import pyarrow as pa

    if not isinstance(column.type, pa.FixedSizeListType) or column.null_count:
        raise ArtifactError(
            f"An embedding column must be fixed_size_list<float32> without nulls; this one is "
            f"{column.type} with {column.null_count} nulls. Materialize item_embeddings again."
        )
    blocks = [
        chunk.flatten().to_numpy().reshape(-1, column.type.list_size) for chunk in column.chunks
    ]
    if len(blocks) == 1:
        return blocks[0]
    return np.concatenate([np.empty((0, column.type.list_size), np.float32), *blocks])


def vectors_of(table: "pa.Table") -> np.ndarray:
    """The embeddings of a table, float32[n, d]; possibly a read-only view, see `vectors_in`."""
    return vectors_in(table["embedding"])


def describe_ids(item_ids: list[str]) -> str:
    """The first few ids, and how many more there are: `'a', 'b' and 7 more`."""
    shown = ", ".join(repr(item_id) for item_id in item_ids[:_IDS_SHOWN])
    hidden = len(item_ids) - _IDS_SHOWN
    return f"{shown} and {hidden:,} more" if hidden > 0 else shown


def check_embeddings(table: "pa.Table", expected_item_ids: list[str]) -> list[str]:
    """Look for everything that makes an embedding table unfit for use.

    Args:
        table: the `item_embeddings` artifact.
        expected_item_ids: the catalog's items.

    Returns:
        One sentence a problem, each naming items; empty when there is none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    item_ids = table["item_id"].combine_chunks()
    expected = pa.array(expected_item_ids, pa.string())
    problems = []

    def report(what: str, bad_ids: "pa.Array") -> None:
        if len(bad_ids):
            problems.append(f"{len(bad_ids):,} {what}: {describe_ids(bad_ids.to_pylist())}.")

    counts = item_ids.value_counts()
    report(
        "item ids occur more than once",
        counts.field("values").filter(pc.greater(counts.field("counts"), 1)),
    )
    report(
        "items have no embedding",
        expected.filter(pc.invert(pc.is_in(expected, value_set=item_ids))),
    )
    report(
        "embeddings are of no item in the catalog",
        item_ids.filter(pc.invert(pc.is_in(item_ids, value_set=expected))),
    )
    try:
        vectors = vectors_of(table)
    except ArtifactError as error:
        return [*problems, str(error)]
    promised = metadata_of(table).get("dimension", vectors.shape[1])
    if promised != vectors.shape[1]:
        problems.append(f"The embeddings have {vectors.shape[1]} numbers instead of {promised}.")
    is_finite, is_zero = (np.empty(len(vectors), dtype=bool) for _ in range(2))
    for rows, block in vector_blocks(vectors):
        is_finite[rows] = np.isfinite(block).all(axis=1)
        is_zero[rows] = ~block.any(axis=1)
    report("embeddings contain NaN or infinity", item_ids.filter(pa.array(~is_finite)))
    report("embeddings are zero", item_ids.filter(pa.array(is_zero)))
    return problems


def check_coverage(embeddings: "pa.Table", interactions: "pa.Table") -> list[str]:
    """Every item that an interaction names has an embedding: problems as sentences, or none."""
    import pyarrow.compute as pc

    named = interactions["item_id"].unique()
    missing = named.filter(pc.invert(pc.is_in(named, value_set=embeddings["item_id"])))
    if not len(missing):
        return []
    shown = describe_ids(missing.to_pylist())
    return [f"{len(missing):,} items of interactions have no embedding: {shown}."]


def select_items(table: "pa.Table", item_ids: "pa.Array | pa.ChunkedArray") -> "pa.Table":
    """The rows of some items, in the order of `item_ids`; metadata stays.

    Raises:
        ArtifactMismatchError: an item has no row.
    """
    import pyarrow.compute as pc

    rows = pc.index_in(item_ids, value_set=table["item_id"])
    if rows.null_count:
        missing = item_ids.filter(rows.is_null()).to_pylist()
        raise ArtifactMismatchError(
            f"{len(missing):,} items have no embedding: {describe_ids(missing)}. The embeddings "
            "come from another catalog: materialize item_embeddings again."
        )
    return take_rows(table, rows.to_numpy())


def vectors_of_items(table: "pa.Table", item_ids: Sequence[str] | np.ndarray) -> np.ndarray:
    """Embeddings float32[n, d] of some items, in the order of `item_ids`.

    Raises:
        ArtifactMismatchError: an item has no embedding.
    """
    import pyarrow as pa

    return vectors_of(select_items(table, pa.array(item_ids, pa.string())))


def warm_embeddings(embeddings: "pa.Table", items: "pa.Table") -> "pa.Table":
    """The embeddings of the items that interactions name, in the catalog's order.

    Args:
        embeddings: the `item_embeddings` artifact.
        items: the `items` artifact; item_id and n_interactions are read.

    Raises:
        InputError: no item has an interaction.
        ArtifactMismatchError: an item with interactions has no embedding.
    """
    import pyarrow.compute as pc

    warm = items["item_id"].filter(pc.greater(items["n_interactions"], 0))
    if not len(warm):
        raise InputError(
            "No item has an interaction, so there is nothing to train on. Check that the item ids "
            "of the dataset's items and interactions are written alike."
        )
    return select_items(embeddings, warm)
