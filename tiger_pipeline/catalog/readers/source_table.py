"""A table as read from a file, which knows the row of the file that each of its rows came from."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tiger_pipeline.errors import InputError


@dataclass(frozen=True)
class SourceTable:
    """Columns of a file, with the means to name a row in an error message.

    Attributes:
        path: the file.
        frame: the columns; text as text with "" for an unknown value, numbers as numbers.
        rows: int64[n], the number of each row in the file as an editor or a spreadsheet shows
            it: counted from 1, the header being row 1 where there is one.
    """

    path: Path
    frame: pd.DataFrame
    rows: np.ndarray

    def place(self, index: int) -> str:
        """Where row `index` of the frame is, for the start of a message."""
        return f"{self.path}, row {self.rows[index]}"

    def require(self, columns: Iterable[str], advice: str = "") -> None:
        """Check that the columns are there.

        Raises:
            InputError: one is not; `advice` ends the message.
        """
        for column in columns:
            if column not in self.frame.columns:
                present = ", ".join(map(str, self.frame.columns))
                raise InputError(
                    f"{self.path} has no column {column!r}; it has {present}. {advice}".rstrip()
                )

    def ids(self, column: str) -> pd.Series:
        """A column of ids.

        Raises:
            InputError: an id is empty.
        """
        values = self.frame[column]
        empty = (values.str.strip() == "").to_numpy(dtype=bool)
        if empty.any():
            raise InputError(f"{self.place(int(empty.argmax()))}: the {column} is empty.")
        return values

    def numbers(self, column: str, unknown_allowed: bool = False) -> np.ndarray:
        """A column of numbers, int64 where all are whole, else float64.

        An unknown value becomes NaN where `unknown_allowed`.

        Raises:
            InputError: a cell is not a finite number.
        """
        cells = self.frame[column]
        values = cells.to_numpy() if pd.api.types.is_numeric_dtype(cells) else _parse(cells)
        if values.dtype.kind in "iu":
            return values.astype(np.int64)
        values = values.astype(np.float64)
        wrong = ~np.isfinite(values)
        if unknown_allowed:
            wrong &= ~(cells.isna() | (cells.astype(object) == "")).to_numpy(dtype=bool)
        if wrong.any():
            index = int(wrong.argmax())
            raise InputError(
                f"{self.place(index)}: the {column} is {cells.iloc[index]!r}, not a number."
            )
        return values


def _parse(cells: pd.Series) -> np.ndarray:
    """Numbers from text, int64 where all are whole; NaN for an empty or a wrong cell."""
    text = pa.array(cells)
    known = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    for kind in (pa.int64(), pa.float64()):
        with contextlib.suppress(pa.ArrowInvalid):
            return known.cast(kind).to_numpy(zero_copy_only=False)
    return pd.to_numeric(cells.astype(object), errors="coerce").to_numpy()
