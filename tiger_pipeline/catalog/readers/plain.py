"""The plain layout: `items.tsv` and `interactions.tsv`.

Tab-separated, UTF-8, one header line, no quoting; an empty cell is "not known". Items have
`item_id` and any text columns. Interactions have `user_id`, `item_id`, optionally `rating`, and
`order` (whole numbers that grow with time, different for a user's interactions) or `timestamp`
(unix seconds) or both.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tiger_pipeline.catalog.config import SourceConfig
from tiger_pipeline.catalog.raw import RawCatalog
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


def _locate(folder: Path, source: SourceConfig) -> SourceFiles:
    return SourceFiles(
        items=find_file(folder, "items", source.items, ("items.tsv",)),
        interactions=(
            find_file(folder, "interactions", source.interactions, ("interactions.tsv",)),
        ),
    )


def _read(files: SourceFiles, source: SourceConfig, progress: Progress) -> RawCatalog:
    item_table = read_delimited(files.items, "\t", quoting=False)
    items = item_frame(item_table, "item_id", all_fields(item_table, "item_id"))
    table = read_delimited(files.interactions[0], "\t", quoting=False)
    present = set(table.frame.columns)
    if not present & {"order", "timestamp"}:
        table.require(["order"], "Interactions need `order` or `timestamp`.")
    interactions = interaction_frame(
        table,
        "user_id",
        "item_id",
        "timestamp" if "timestamp" in present else None,
        "rating" if "rating" in present else None,
    )
    require_known_items(interactions, table, items, files.items.name)
    if "order" in present:
        interactions = _in_given_order(interactions, table)
    return RawCatalog(items, interactions)


def _in_given_order(interactions: pd.DataFrame, table: SourceTable) -> pd.DataFrame:
    """The rows grouped by user (by first appearance), each user's sorted by `order`."""
    order = table.numbers("order")
    if order.dtype != np.int64:
        index = int((order != np.floor(order)).argmax())
        raise InputError(f"{table.place(index)}: the order is {order[index]}, not a whole number.")
    users = pd.factorize(interactions["user_id"])[0]
    rows = np.lexsort((order, users))
    same_user = users[rows][1:] == users[rows][:-1]
    _refuse(
        table, interactions, rows, same_user & (order[rows][1:] == order[rows][:-1]),
        "has the same order as",
    )  # fmt: skip
    if "timestamp" in interactions:
        times = interactions["timestamp"].to_numpy()[rows]
        _refuse(
            table, interactions, rows, same_user & (times[1:] < times[:-1]),
            "comes later by its order, but earlier by its timestamp, than",
        )  # fmt: skip
    return interactions.iloc[rows].reset_index(drop=True)


def _refuse(
    table: SourceTable,
    interactions: pd.DataFrame,
    rows: np.ndarray,
    wrong: np.ndarray,
    problem: str,
) -> None:
    if wrong.any():
        at = int(wrong.argmax())
        earlier, later = rows[at], rows[at + 1]
        user = interactions["user_id"].iloc[later]
        raise InputError(
            f"{table.place(later)} (user {user!r}) {problem} row {table.rows[earlier]}."
        )


LAYOUT = Layout(locate=_locate, read=_read)
