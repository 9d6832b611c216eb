"""Which items may be recommended at all: an availability list, and rules on the items' fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ItemFilter:
    """What keeps items out of every list.

    Attributes:
        available: a text file with one item id a line: only these; None: all.
        only: "FIELD=TEXT" rules: at least one must hold, if there are any.
        never: "FIELD=TEXT" rules: none may hold.

    A rule holds for an item whose field contains the text, whatever the case of the letters.
    """

    available: Path | None = None
    only: Sequence[str] = ()
    never: Sequence[str] = ()

    def allowed(self, item_ids: np.ndarray, items: "pa.Table") -> np.ndarray | None:
        """bool[n], True for items that may be recommended; None where nothing is left out.

        Args:
            item_ids: object[n].
            items: the `items` artifact. An item that is not in it has empty fields.

        Raises:
            ConfigurationError: a rule is not of that form, or names no field.
            InputError: the availability list is not readable.
        """
        if self.available is None and not self.only and not self.never:
            return None
        allowed = np.ones(len(item_ids), dtype=bool)
        if self.available is not None:
            listed = read_lines(self.available)
            allowed &= np.fromiter((item in listed for item in item_ids), bool, len(item_ids))
        if self.only:
            allowed &= np.logical_or.reduce([_holds(rule, item_ids, items) for rule in self.only])
        for rule in self.never:
            allowed &= ~_holds(rule, item_ids, items)
        return allowed


def read_lines(path: Path) -> dict[str, int]:
    """The distinct lines of a text file that are not empty, each with its first line's number.

    Raises:
        InputError: it does not exist, is not readable, or holds no line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable list, one id a line: {error}.") from error
    found: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found.setdefault(line.strip(), number)
    if not found:
        raise InputError(f"{path} is empty: it must hold one id a line.")
    return found


def _holds(rule: str, item_ids: np.ndarray, items: "pa.Table") -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    field, equals, text = rule.partition("=")
    fields = [name for name in items.column_names if pa.types.is_string(items[name].type)]
    if not equals or not text or field not in fields:
        raise ConfigurationError(
            f"{rule!r} is not a rule of the form FIELD=TEXT on one of the items' fields: "
            f"{', '.join(fields)}."
        )
    rows = pc.index_in(pa.array(item_ids, pa.string()), value_set=items["item_id"])
    values = items[field].take(rows)
    contains = pc.match_substring(values, text, ignore_case=True)
    return pc.fill_null(contains, False).to_numpy(zero_copy_only=False)
