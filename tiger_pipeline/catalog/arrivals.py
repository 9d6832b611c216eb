"""Items that arrive after the dataset's own files: new ones, changed ones, withdrawn ones.

They come as files in the dataset's `incoming/` folder, which is part of the dataset: a file stays
there, and what it says holds as long as it does. Files are read in the order of their names; of
two rows for one item the one in the later file holds, and rows there hold over the source's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from tiger_pipeline.catalog.config import DataConfig
from tiger_pipeline.catalog.incoming_files import find_incoming
from tiger_pipeline.catalog.item_text import clean_value
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.catalog.readers.lenient import LenientRow, read_leniently
from tiger_pipeline.catalog.rejected import RejectedRow
from tiger_pipeline.errors import InputError

WITHDRAWN = "is_withdrawn"
"""Optional column of incoming files: true for an item that must not be recommended any more."""

_TRUTH = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


@dataclass(frozen=True)
class Arrivals:
    """What the complete files of an `incoming/` folder say.

    Attributes:
        items: item id → text fields, by the last row of each item that gives them.
        withdrawn: ids whose last row withdraws them.
        rejected: rows, or whole files, that could not be used, with the reasons.
        folder: where the files are.
        files: names of the files that were read.
        waiting: names of files that were left for the next time, perhaps half-written.
    """

    items: dict[str, dict[str, str]]
    withdrawn: frozenset[str]
    rejected: list[RejectedRow]
    folder: Path
    files: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """For metadata."""
        return {
            "incoming_files": len(self.files),
            "incoming_files_left_for_next_time": len(self.waiting),
            "incoming_items": len(self.items),
            "withdrawn_items": len(self.withdrawn),
            "rejected_rows": len(self.rejected),
        }


@dataclass
class _Gathering:
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    rejected: list[RejectedRow] = field(default_factory=list)


def read_arrivals(
    config: DataConfig, folder: Path, fields: Sequence[str], now: float | None = None
) -> Arrivals:
    """Read all complete files of a dataset's `incoming/` folder.

    A broken row or file is rejected with its reason; the others are used.

    Args:
        config: of the dataset; its text settings say what an item cannot do without.
        folder: the dataset's folder.
        fields: text fields of the dataset's items; other columns are ignored.
        now: unix seconds, to judge which files are complete; default: the present.

    Raises:
        InputError: the folder cannot be listed.
    """
    incoming = folder / config.incoming.folder
    found = find_incoming(incoming, config.incoming.settle_seconds, now)
    gathered = _Gathering()
    for path in found.complete:
        _read_file(path, config, fields, gathered)
    return Arrivals(
        items=gathered.items,
        withdrawn=frozenset(gathered.withdrawn),
        rejected=gathered.rejected,
        folder=incoming,
        files=tuple(path.name for path in found.complete),
        waiting=tuple(path.name for path in found.unsettled),
    )


def _read_file(path: Path, config: DataConfig, fields: Sequence[str], gathered: _Gathering) -> None:
    columns = _columns_of(config, fields)
    id_column = columns.pop("item_id")
    needed = [id_column, *(columns[name] for name in config.text.fields if name in columns)]
    first_rows: dict[str, int] = {}
    try:
        for row in read_leniently(path, needed, quoted_tsv=config.source.format == "tables"):
            item_id = row.cells.get(id_column, "")
            values = {name: row.cells.get(column, "") for name, column in columns.items()}
            withdraws = _TRUTH.get(row.cells.get(WITHDRAWN, "").strip().lower())
            problem = row.problem or _problem(item_id, values, withdraws, config, first_rows)
            if problem:
                gathered.rejected.append(_rejected(path, row, item_id, problem))
                continue
            first_rows[item_id] = row.number
            if withdraws:
                gathered.withdrawn.add(item_id)
            else:
                gathered.withdrawn.discard(item_id)
                gathered.items[item_id] = values
    except InputError as error:
        gathered.rejected.append(RejectedRow(path.name, None, None, str(error), ""))


def _columns_of(config: DataConfig, fields: Sequence[str]) -> dict[str, str]:
    """Column of the item id and of each text field in incoming files, as in the source's."""
    names = config.source.columns
    columns = {name: config.source.fields.get(name, name).lower() for name in fields}
    return {**columns, "item_id": (names.item_id_in_items or names.item_id).lower()}


def _problem(
    item_id: str,
    values: dict[str, str],
    withdraws: bool | None,
    config: DataConfig,
    first_rows: dict[str, int],
) -> str | None:
    """Why a row that could be read is no item; None if it is one."""
    if not item_id.strip():
        return "the item id is missing"
    if item_id in first_rows:
        return f"item {item_id!r} is listed again; row {first_rows[item_id]} lists it first"
    if withdraws is None:
        return f"{WITHDRAWN} is neither true nor false"
    if not withdraws and not any(clean_value(values.get(name, "")) for name in config.text.fields):
        return f"it has no text: {', '.join(config.text.fields)} are empty"
    return None


def _rejected(path: Path, row: LenientRow, item_id: str, reason: str) -> RejectedRow:
    return RejectedRow(path.name, row.number, item_id or None, reason, row.content)


def with_arrivals(raw: RawCatalog, arrivals: Arrivals) -> RawCatalog:
    """The raw catalog with the texts of changed items, and new items behind its own."""
    rows = pd.Index(raw.items["item_id"]).get_indexer(pd.Index(list(arrivals.items), dtype=object))
    ids = np.array(list(arrivals.items), dtype=object)
    changed = ids[rows >= 0]
    new = [item_id for item_id in ids[rows < 0] if item_id not in arrivals.withdrawn]
    columns = {}
    for name in raw.items.columns:
        values = raw.items[name].to_numpy(dtype=object).copy()
        if name == "item_id":
            added = new
        else:
            values[rows[rows >= 0]] = [arrivals.items[item_id][name] for item_id in changed]
            added = [arrivals.items[item_id][name] for item_id in new]
        columns[name] = np.concatenate([values, np.array(added, dtype=object)])
    return replace(
        raw,
        items=pd.DataFrame(columns),
        arrived=frozenset(arrivals.items) - arrivals.withdrawn,
        withdrawn=arrivals.withdrawn,
    )
