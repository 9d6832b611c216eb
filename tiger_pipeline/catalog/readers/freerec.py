"""The layout of FreeRec's processed datasets, such as `Amazon2014Beauty_550_LOU/`.

`item.txt` (ITEM, TITLE, CATEGORIES, BRAND…) and `train.txt`, `valid.txt`, `test.txt` (USER, ITEM,
optionally TIMESTAMP and RATING): tab-separated with a header, quoted where pandas' `to_csv` quotes.
The splits are the dataset's own and stay as they are.
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
from tiger_pipeline.catalog.sequences import SOURCE_SPLITS
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import Progress


def _locate(folder: Path, source: SourceConfig) -> SourceFiles:
    if source.interactions is not None:
        raise InputError(
            "data.source.interactions does not apply to the layout `freerec`, whose interactions "
            "are train.txt, valid.txt and test.txt. Remove the setting."
        )
    return SourceFiles(
        items=find_file(folder, "items", source.items, ("item.txt",)),
        interactions=tuple(
            find_file(folder, f"{split} interactions", None, (f"{split}.txt",), fixed_name=True)
            for split in SOURCE_SPLITS
        ),
    )


def _read(files: SourceFiles, source: SourceConfig, progress: Progress) -> RawCatalog:
    item_table = _read_table(files.items)
    items = item_frame(item_table, "ITEM", all_fields(item_table, "ITEM"))
    parts: dict[str, pd.DataFrame] = {}
    for split, path in zip(SOURCE_SPLITS, files.interactions, strict=True):
        table = _read_table(path)
        present = set(table.frame.columns)
        part = interaction_frame(
            table,
            "USER",
            "ITEM",
            "TIMESTAMP" if "TIMESTAMP" in present else None,
            "RATING" if "RATING" in present else None,
        )
        require_known_items(part, table, items, files.items.name)
        if split != "train":
            _check_targets(part, table, parts["train"], files.interactions[0])
        parts[split] = part.assign(split=split)
    _check_same_columns(parts, files)
    return RawCatalog(items, pd.concat(list(parts.values()), ignore_index=True))


def _read_table(path: Path) -> SourceTable:
    table = read_delimited(path, "\t", quoting=True)
    upper = table.frame.rename(columns=str.upper)
    if upper.columns.has_duplicates:
        raise InputError(f"{path}: two columns differ only in upper and lower case.")
    return SourceTable(path, upper, table.rows)


def _check_targets(
    targets: pd.DataFrame, table: SourceTable, train: pd.DataFrame, train_path: Path
) -> None:
    """A user has at most one target in a split, and a training history before it."""
    users = targets["user_id"]
    again = users.duplicated().to_numpy(dtype=bool)
    if again.any():
        second = int(again.argmax())
        first = int((users == users.iloc[second]).to_numpy(dtype=bool).argmax())
        raise InputError(
            f"{table.place(second)}: user {users.iloc[second]!r} has a second target; row "
            f"{table.rows[first]} has the first. Only leave-one-out splits (…_LOU) are supported."
        )
    without = ~users.isin(train["user_id"]).to_numpy(dtype=bool)
    if without.any():
        index = int(np.argmax(without))
        raise InputError(
            f"{table.place(index)}: user {users.iloc[index]!r} has no row in {train_path.name}, "
            "so there is no history to recommend from."
        )


def _check_same_columns(parts: dict[str, pd.DataFrame], files: SourceFiles) -> None:
    for column in ("timestamp", "rating"):
        has = [column in part for part in parts.values()]
        if any(has) and not all(has):
            missing = files.interactions[has.index(False)]
            other = files.interactions[has.index(True)]
            raise InputError(f"{missing} has no column {column.upper()!r}, but {other.name} has.")


LAYOUT = Layout(locate=_locate, read=_read)
