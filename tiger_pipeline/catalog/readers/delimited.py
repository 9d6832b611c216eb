"""Delimited text (TSV, CSV), read strictly: any row that breaks the format is named."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from tiger_pipeline.catalog.readers.compressed import open_binary, open_errors
from tiger_pipeline.catalog.readers.source_table import SourceTable
from tiger_pipeline.errors import InputError

# pyarrow refuses a row that is longer than a block; item descriptions can be long.
_BLOCK_BYTES = 16 << 20


def read_delimited(
    path: Path, delimiter: str, quoting: bool, column_names: list[str] | None = None
) -> SourceTable:
    """Read a file of text columns, UTF-8, possibly gzip-compressed.

    Empty lines are skipped; nothing else is repaired.

    Args:
        path: the file.
        delimiter: between cells.
        quoting: whether cells may be in double quotes, with `""` for a quote (as CSV does), or
            quotes are ordinary characters.
        column_names: for a file without a header line.

    Returns:
        All columns as text.

    Raises:
        InputError: the file is missing, empty, not UTF-8, or has a row with too few or too many
            cells.
    """
    with open_errors(path):
        header_lines = 0
        if column_names is None:
            column_names, header_lines = _read_header(path, delimiter, quoting)
        table = _parse(path, delimiter, quoting, column_names, header_lines)
    frame = table.to_pandas()
    header_rows = min(header_lines, 1)
    rows = np.arange(len(frame), dtype=np.int64) + 1 + header_rows
    blank = (frame == "").all(axis=1).to_numpy(dtype=bool) if len(column_names) > 1 else None
    if blank is not None and blank.any():
        frame, rows = frame[~blank].reset_index(drop=True), rows[~blank]
    return SourceTable(path, frame, rows)


def _read_header(path: Path, delimiter: str, quoting: bool) -> tuple[list[str], int]:
    """The column names and the number of lines that they take."""
    with open_binary(path) as file:
        reader = csv.reader(
            io.TextIOWrapper(file, encoding="utf-8-sig", newline=""),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
        )
        try:
            names = [name.strip() for name in next(reader)]
        except StopIteration:
            raise InputError(f"{path} is empty; it must start with a header line.") from None
        except UnicodeDecodeError:
            raise _not_utf8(path) from None
        except csv.Error as error:
            raise InputError(f"{path} has no readable header line ({error}).") from error
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: the header names the column {twice!r} twice.")
    return names, reader.line_num


def _parse(
    path: Path, delimiter: str, quoting: bool, column_names: list[str], header_lines: int
) -> pa.Table:
    broken: list[pa_csv.InvalidRow] = []

    def stop(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "error"

    with open_binary(path) as file:
        try:
            return pa_csv.read_csv(
                file,
                # With threads, a broken row would not know its number.
                pa_csv.ReadOptions(
                    column_names=column_names,
                    skip_rows=header_lines,
                    use_threads=False,
                    block_size=_BLOCK_BYTES,
                ),
                pa_csv.ParseOptions(
                    delimiter=delimiter,
                    quote_char='"' if quoting else False,
                    newlines_in_values=quoting,
                    ignore_empty_lines=False,
                    invalid_row_handler=stop,
                ),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(column_names, pa.string()),
                    strings_can_be_null=False,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if broken:
                row = broken[0]
                raise InputError(
                    f"{path}, row {row.number}: {row.actual_columns} cells where "
                    f"{row.expected_columns} are expected ({', '.join(column_names)})."
                ) from None
            if "UTF8" in str(error):
                raise _not_utf8(path) from None
            if "Empty CSV" in str(error):
                raise InputError(f"{path} is empty.") from None
            raise InputError(f"{path} cannot be read: {error}.") from error


def _not_utf8(path: Path) -> InputError:
    with open_binary(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return InputError(
                    f"{path}, line {number}: byte {error.start + 1} of the line is not UTF-8. "
                    "Convert the file, for example with `iconv -f latin1 -t utf-8`."
                )
    return InputError(f"{path} is not UTF-8.")
