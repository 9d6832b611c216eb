"""Any item and interaction tables, parquet or CSV, with the names of their columns in the settings.

CSV and TSV files have a header and may quote cells. In parquet, ids are text or whole numbers, a
time is a timestamp or unix seconds, and lists of text (a category path, say) are joined by " > ".
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tiger_pipeline.catalog.config import ColumnNames, SourceConfig
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.catalog.readers.compressed import open_errors
from tiger_pipeline.catalog.readers.contract import (
    all_fields,
    interaction_frame,
    item_frame,
    require_known_items,
)
from tiger_pipeline.catalog.readers.delimited import read_delimited
from tiger_pipeline.catalog.readers.layout import Layout, SourceFiles, find_file
from tiger_pipeline.catalog.readers.source_table import SourceTable
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import Progress

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")


def _locate(folder: Path, source: SourceConfig) -> SourceFiles:
    return SourceFiles(
        items=find_file(
            folder, "items", source.items, tuple(f"items{ending}" for ending in _ENDINGS)
        ),
        interactions=(
            find_file(
                folder,
                "interactions",
                source.interactions,
                tuple(f"interactions{ending}" for ending in _ENDINGS),
            ),
        ),
    )


def _read(files: SourceFiles, source: SourceConfig, progress: Progress) -> RawCatalog:
    columns = source.columns
    item_id = columns.item_id_in_items or columns.item_id
    item_table = _read_table(files.items, ids=[item_id], wanted=list(source.fields.values()))
    item_table.require([item_id], "Set data.source.columns.item_id_in_items.")
    item_table.require(source.fields.values(), "Correct data.source.fields.")
    fields = source.fields or all_fields(item_table, item_id)
    items = item_frame(item_table, item_id, fields)

    path = files.interactions[0]
    numbers = [name for name in (columns.timestamp, columns.rating) if name]
    table = _read_table(path, ids=[columns.user_id, columns.item_id], numbers=numbers)
    rating = _check_columns(table, columns)
    interactions = interaction_frame(
        table, columns.user_id, columns.item_id, columns.timestamp, rating
    )
    require_known_items(interactions, table, items, files.items.name)
    return RawCatalog(items, interactions)


def _check_columns(table: SourceTable, columns: ColumnNames) -> str | None:
    """Check the interactions' columns; return that of the ratings, or None without ratings."""
    table.require([columns.user_id], "Set data.source.columns.user_id.")
    table.require([columns.item_id], "Set data.source.columns.item_id.")
    if columns.timestamp:
        table.require(
            [columns.timestamp],
            "Set data.source.columns.timestamp, or set it to null if the rows are in order of "
            "time.",
        )
    if columns.rating and columns.rating not in table.frame:
        # Ratings are optional, but a name that somebody chose is meant.
        if columns.rating != ColumnNames.model_fields["rating"].default:
            table.require([columns.rating], "Set data.source.columns.rating.")
        return None
    return columns.rating


def _read_table(
    path: Path,
    ids: list[str],
    numbers: list[str] | None = None,
    wanted: list[str] | None = None,
) -> SourceTable:
    """Read a table by the ending of its name.

    For parquet, `ids` become text, `numbers` become numbers, and the other columns become text
    where they can; `wanted` ones must, and without any `wanted` all are tried.
    """
    kind = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
    if kind in _DELIMITERS:
        return read_delimited(path, _DELIMITERS[kind], quoting=True)
    if path.suffix == ".parquet":
        return _read_parquet(path, ids, numbers, wanted)
    raise InputError(
        f"{path} has an ending that is not known. Tables end in {', '.join(_ENDINGS)}."
    )


def _read_parquet(
    path: Path, ids: list[str], numbers: list[str] | None, wanted: list[str] | None
) -> SourceTable:
    with open_errors(path):
        try:
            schema = pq.read_schema(path)
            names = {*ids, *(numbers or [])}
            if numbers is None:
                names |= set(wanted or [field.name for field in schema if _can_be_text(field.type)])
            table = pq.read_table(path, columns=[name for name in schema.names if name in names])
        except pa.ArrowInvalid as error:
            raise InputError(f"{path} is not a readable parquet file ({error}).") from error
    columns: dict[str, pd.Series] = {}
    for name in table.column_names:
        convert = _id_text if name in ids else _numbers if name in (numbers or []) else _text
        columns[name] = convert(table[name], path, name)
    frame = pd.DataFrame(columns)
    return SourceTable(path, frame, np.arange(1, len(frame) + 1, dtype=np.int64))


def _can_be_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_string(kind.value_type)
    return (
        _is_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
    )


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _id_text(column: pa.ChunkedArray, path: Path, name: str) -> pd.Series:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (_is_string(kind) or pa.types.is_integer(kind)):
        raise InputError(
            f"{path}: the column {name!r} holds values of type {kind}. Ids must be text or whole "
            "numbers, so that both tables write them alike."
        )
    return pc.fill_null(column.cast(kind).cast(pa.string()), "").to_pandas()


def _numbers(column: pa.ChunkedArray, path: Path, name: str) -> pd.Series:
    if pa.types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_pandas() / 1e6
        return seconds
    return column.to_pandas()


def _text(column: pa.ChunkedArray, path: Path, name: str) -> pd.Series:
    if not _can_be_text(column.type):
        raise InputError(
            f"{path}: the column {name!r} holds values of type {column.type}; an item's text "
            "field must be text, a number, or a list of text."
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        paths = [" > ".join(filter(None, path or [])) for path in column.to_pylist()]
        return pd.Series(paths, dtype=object)
    return pc.fill_null(column.cast(pa.string()), "").to_pandas()


LAYOUT = Layout(locate=_locate, read=_read)
