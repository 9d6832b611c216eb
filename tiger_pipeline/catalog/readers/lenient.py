"""Rows of an incoming file, read leniently: what is wrong with a row is kept beside it.

The readers of a dataset's own files refuse a file at its first broken row. Incoming files come from
outside, day by day: there one broken row must not hold up the others.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiger_pipeline.catalog.readers.compressed import open_binary, open_errors
from tiger_pipeline.errors import InputError

ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl", ".json")
"""Of incoming files; all but parquet may be followed by `.gz`."""

_BATCH_ROWS = 10_000


@dataclass(frozen=True)
class LenientRow:
    """A row as it was found.

    Attributes:
        number: of the row in the file, counted from 1, a header line included.
        cells: column, in lower case → text, "" where it is not known; empty for a row with a
            problem.
        content: the row as it stands in the file, as far as it can be shown.
        problem: why it is not a row of the file's format; None if it is.
    """

    number: int
    cells: dict[str, str]
    content: str
    problem: str | None = None


def read_leniently(path: Path, required: Sequence[str], quoted_tsv: bool) -> Iterator[LenientRow]:
    """The rows of a parquet, CSV, TSV or JSON-lines file, by the ending of its name.

    Args:
        path: the file; decompressed on the way if its name ends in `.gz`.
        required: columns that a table must have, in lower case; a JSON line may leave some out.
        quoted_tsv: whether cells of TSV files may be in double quotes, as those of CSV may.

    Raises:
        InputError: the file as a whole cannot be read, or lacks a required column.
    """
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    with open_errors(path):
        if kind == ".parquet" and path.suffix != ".gz":
            yield from _parquet_rows(path, required)
        elif kind == ".csv":
            yield from _delimited_rows(path, ",", True, required)
        elif kind == ".tsv":
            yield from _delimited_rows(path, "\t", quoted_tsv, required)
        elif kind in (".jsonl", ".json"):
            yield from _json_rows(path)
        else:
            raise InputError(
                f"{path} has an ending that is not known. Incoming files end in "
                f"{', '.join(ENDINGS)}, all but parquet perhaps followed by .gz."
            )


def _require(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    for column in required:
        if column not in columns:
            raise InputError(
                f"{path} has no column {column!r}; it has {', '.join(columns) or 'none'}."
            )


def _delimited_rows(
    path: Path, delimiter: str, quoted: bool, required: Sequence[str]
) -> Iterator[LenientRow]:
    with open_binary(path) as file:
        # Bytes that are not UTF-8 become lone surrogates, which tell their row apart later.
        lines = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(
            lines,
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=True,
        )
        try:
            header = [name.strip().lower() for name in next(reader)]
        except StopIteration:
            raise InputError(f"{path} is empty; it must start with a header line.") from None
        except csv.Error as error:
            raise InputError(f"{path} has no readable header line ({error}).") from None
        _require(path, header, required)
        number = 1
        while True:
            number += 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield LenientRow(number, {}, "", f"the row cannot be read ({error})")
                continue
            if cells:
                yield _delimited_row(number, cells, header, delimiter)


def _delimited_row(number: int, cells: list[str], header: list[str], delimiter: str) -> LenientRow:
    content = delimiter.join(cells)
    problem = None
    if not _is_utf8(content):
        problem = "it is not UTF-8"
    elif len(cells) != len(header):
        problem = f"it has {len(cells)} cells where {len(header)} are expected"
    if problem:
        return LenientRow(number, {}, _printable(content), problem)
    return LenientRow(number, dict(zip(header, cells, strict=True)), content)


def _json_rows(path: Path) -> Iterator[LenientRow]:
    with open_binary(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _json_row(number, line)


def _json_row(number: int, line: bytes) -> LenientRow:
    content = line.decode("utf-8", errors="backslashreplace").strip()
    try:
        record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        return LenientRow(number, {}, content, "it is not UTF-8")
    except (ValueError, RecursionError) as error:
        return LenientRow(number, {}, content, f"it is not valid JSON ({error})")
    if not isinstance(record, dict):
        return LenientRow(number, {}, content, "it is not a JSON object")
    return _row_of_values(number, record, content)


def _parquet_rows(path: Path, required: Sequence[str]) -> Iterator[LenientRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _require(path, [name.lower() for name in file.schema_arrow.names], required)
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS):
                for record in _records(batch):
                    number += 1
                    yield _row_of_values(number, record, None)
    except pa.ArrowException as error:
        raise InputError(f"{path} is not a readable parquet file ({error}).") from error


def _records(batch: Any) -> Iterator[dict[str, Any]]:
    """The rows of a record batch; text as bytes, because parquet does not promise UTF-8."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = column.cast(pa.large_binary())
        columns.append(column.to_pylist())
    for row in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, row, strict=True))


def _row_of_values(number: int, record: dict[str, Any], content: str | None) -> LenientRow:
    cells: dict[str, str] = {}
    problem = None
    for column, value in record.items():
        text = _text(value)
        if text is None or not _is_utf8(text):
            what = "not text, a number or a list of text" if text is None else "not UTF-8"
            problem = f"its {column!r} is {what}"
            break
        cells[column.lower()] = text
    if content is None:
        content = _printable(str(record))
    return LenientRow(number, {} if problem else cells, content, problem)


def _text(value: object) -> str | None:
    """A value as text; None for what cannot be an id or a text field."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="surrogateescape")
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        parts = [_text(part) for part in value]
        known = [part for part in parts if part]
        return None if None in parts else " > ".join(known)
    return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", "backslashreplace")
