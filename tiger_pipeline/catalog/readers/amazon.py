"""What the three generations of Amazon review files have in common."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.catalog.readers.json_lines import Record, read_records
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import Progress


@dataclass(frozen=True)
class ReviewKeys:
    """The keys of a review record.

    `per_second` is the number of units of its time in a second.
    """

    user: str
    item: str
    rating: str
    time: str
    per_second: int = 1


def read_reviews(path: Path, keys: ReviewKeys, progress: Progress) -> pd.DataFrame:
    """Interactions from a file with one review a line.

    Raises:
        InputError: the file is broken, or a review lacks a key or has a value of another kind.
    """
    users: list[str] = []
    items: list[str] = []
    ratings: list[float] = []
    times: list[float] = []
    for number, review in read_records(path, progress):
        users.append(_id(review, keys.user, path, number))
        items.append(_id(review, keys.item, path, number))
        ratings.append(_number(review, keys.rating, path, number))
        times.append(_number(review, keys.time, path, number))
    timestamps = np.asarray(times)
    if keys.per_second != 1:
        # Fractions of a second stay: they decide the order.
        timestamps = timestamps / keys.per_second
    return pd.DataFrame(
        {
            "user_id": users,
            "item_id": items,
            "timestamp": timestamps,
            "rating": np.asarray(ratings, dtype=np.float64),
        }
    )


def read_metadata(
    path: Path,
    id_key: str,
    fields: dict[str, Callable[[Record], str]],
    progress: Progress,
    parse: Callable[[str], Any] | None = None,
) -> pd.DataFrame:
    """Items from a metadata file with one item a line.

    The 2018 files list some items several times; the first line of an item counts.

    Args:
        path: the file.
        id_key: the key of the item's id.
        fields: text field → how it is read from a record.
        progress: told how much of the file has been read.
        parse: turns a line into a record, where it is not JSON.

    Raises:
        InputError: the file is broken, or an item has no id.
    """
    rows: dict[str, tuple[str, ...]] = {}
    records = read_records(path, progress, parse) if parse else read_records(path, progress)
    for number, record in records:
        item = _id(record, id_key, path, number)
        if item not in rows:
            rows[item] = tuple(value(record) for value in fields.values())
    columns = zip(*rows.values(), strict=True)
    return pd.DataFrame(
        {
            "item_id": list(rows),
            **{field: list(c) for field, c in zip(fields, columns, strict=True)},
        }
    )


def complete_catalog(items: pd.DataFrame, interactions: pd.DataFrame) -> RawCatalog:
    """Add the items that only the interactions name, with empty fields.

    Amazon's metadata is known to lack items. Published results keep them, so dropping them would
    change the dataset's size; they are counted instead.
    """
    known = pd.Index(items["item_id"])
    named = pd.Index(interactions["item_id"].unique())
    unlisted = named[known.get_indexer(named) < 0]
    added = pd.DataFrame({"item_id": unlisted}).reindex(columns=items.columns, fill_value="")
    return RawCatalog(pd.concat([items, added], ignore_index=True), interactions, len(unlisted))


def text(key: str) -> Callable[[Record], str]:
    """Reads `key` as text; HTML entities, left over from scraping, are decoded."""
    return lambda record: _as_text(record.get(key))


def category_paths(key: str) -> Callable[[Record], str]:
    """Reads `key` as category paths: levels joined by " > ", alternative paths by " | "."""

    def read(record: Record) -> str:
        value = record.get(key)
        if not isinstance(value, list):
            return _as_text(value)
        paths = value if all(isinstance(path, list) for path in value) else [value]
        return " | ".join(" > ".join(_as_text(level) for level in path) for path in paths)

    return read


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(_as_text(part) for part in value)
    return html.unescape(value) if isinstance(value, str) else str(value)


def _id(record: Record, key: str, path: Path, line: int) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        given = f"is {value!r}" if key in record else "is missing"
        raise InputError(f"{path}, line {line}: the key {key!r} {given}; it must hold an id.")
    return value


def _number(record: Record, key: str, path: Path, line: int) -> float:
    value = record.get(key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):  # type: ignore[arg-type]
        given = f"is {value!r}" if key in record else "is missing"
        raise InputError(f"{path}, line {line}: the key {key!r} {given}; it must hold a number.")
    return value  # type: ignore[return-value]
