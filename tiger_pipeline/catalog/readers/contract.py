"""From checked source tables to the two frames of a raw catalog."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tiger_pipeline.catalog.item_text import RESERVED_COLUMNS
from tiger_pipeline.catalog.readers.source_table import SourceTable
from tiger_pipeline.errors import InputError


def item_frame(table: SourceTable, id_column: str, fields: Mapping[str, str]) -> pd.DataFrame:
    """The items of a source.

    Args:
        table: as read.
        id_column: its column of item ids.
        fields: text field → column.

    Raises:
        InputError: a column is missing, an id is empty or occurs twice, a field has a reserved
            name, or there are no items.
    """
    table.require([id_column, *fields.values()])
    for field in fields:
        if field in RESERVED_COLUMNS:
            raise InputError(
                f"{table.path}: an item text field cannot be called {field!r}; the catalog needs "
                "that name. Rename the column."
            )
    if table.frame.empty:
        raise InputError(f"{table.path} has a header but no items.")
    ids = table.ids(id_column)
    again = ids.duplicated().to_numpy(dtype=bool)
    if again.any():
        second = int(again.argmax())
        first = int((ids == ids.iloc[second]).to_numpy(dtype=bool).argmax())
        raise InputError(
            f"{table.place(second)}: item {ids.iloc[second]!r} is listed again; "
            f"row {table.rows[first]} lists it first. Every item may have one row."
        )
    columns = {field: table.frame[column] for field, column in fields.items()}
    return pd.DataFrame({"item_id": ids, **columns}).reset_index(drop=True)


def all_fields(table: SourceTable, id_column: str) -> dict[str, str]:
    """Every column but the id as a text field: lower-case name → column.

    A column without a name, such as the index that pandas writes to CSV, is no field.

    Raises:
        InputError: two columns have the same name in lower case.
    """
    fields: dict[str, str] = {}
    for column in table.frame.columns:
        if column == id_column or not column:
            continue
        field = str(column).lower()
        if field in fields:
            raise InputError(
                f"{table.path}: the columns {fields[field]!r} and {column!r} are the same field."
            )
        fields[field] = column
    return fields


def interaction_frame(
    table: SourceTable, user: str, item: str, timestamp: str | None, rating: str | None
) -> pd.DataFrame:
    """The interactions of a source, in the order of its rows.

    Args:
        table: as read.
        user: its column of user ids.
        item: its column of item ids.
        timestamp: its column of unix seconds, or None.
        rating: its column of ratings, or None.

    Raises:
        InputError: a column is missing, an id is empty, a timestamp or a rating is not a number,
            or there are no interactions.
    """
    table.require([user, item, *(column for column in (timestamp, rating) if column)])
    if table.frame.empty:
        raise InputError(f"{table.path} has a header but no interactions.")
    columns: dict[str, pd.Series | np.ndarray] = {
        "user_id": table.ids(user),
        "item_id": table.ids(item),
    }
    if timestamp:
        columns["timestamp"] = table.numbers(timestamp)
    if rating:
        columns["rating"] = table.numbers(rating, unknown_allowed=True).astype(np.float64)
    return pd.DataFrame(columns).reset_index(drop=True)


def require_known_items(
    interactions: pd.DataFrame, table: SourceTable, items: pd.DataFrame, items_name: str
) -> None:
    """Check that the item table lists every item of the interactions.

    Raises:
        InputError: it does not.
    """
    unknown = (pd.Index(items["item_id"]).get_indexer(interactions["item_id"])) < 0
    if unknown.any():
        index = int(unknown.argmax())
        others = int(unknown.sum()) - 1
        raise InputError(
            f"{table.place(index)}: item {interactions['item_id'].iloc[index]!r} is not in "
            f"{items_name}"
            + (f" (nor are the items of {others:,} more rows)" if others else "")
            + ". Add it there, or remove its interactions."
        )
