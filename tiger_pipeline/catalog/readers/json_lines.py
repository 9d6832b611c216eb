"""Files with one record a line, streamed: as large as they like, and a broken line is named."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from tiger_pipeline.catalog.readers.compressed import decompressed, open_errors
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import Progress

_LINES_BETWEEN_REPORTS = 1000

Record = dict[str, Any]


def read_records(
    path: Path, progress: Progress, parse: Callable[[str], Any] = json.loads
) -> Iterator[tuple[int, Record]]:
    """Yield (line number counted from 1, record); empty lines are skipped.

    Args:
        path: the file; decompressed on the way if its name ends in `.gz`.
        progress: told how much of the file has been read.
        parse: turns a line into a dict, or raises ValueError or SyntaxError.

    Raises:
        InputError: the file is missing, broken or empty, or a line is not a record.
    """
    any_record = False
    with open_errors(path), open(path, "rb") as stored:
        lines = decompressed(path, stored) if path.suffix == ".gz" else stored
        with progress.task(f"reading {path.name}", path.stat().st_size, "bytes") as task:
            reported = 0
            for number, line in enumerate(lines, start=1):
                if number % _LINES_BETWEEN_REPORTS == 0:
                    # Not `lines.tell()`: the size that is known is that of the compressed file.
                    reported, before = stored.tell(), reported
                    task.advance(reported - before)
                if line.strip():
                    yield number, _parse_line(path, number, line, parse)
                    any_record = True
    if not any_record:
        raise InputError(f"{path} is empty.")


def _parse_line(path: Path, number: int, line: bytes, parse: Callable[[str], Any]) -> Record:
    try:
        record = parse(line.decode("utf-8").strip())
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {number}: byte {error.start + 1} of the line is not UTF-8."
        ) from None
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}, line {number} is not a valid record ({reason}): {_shorten(line)}"
        ) from None
    if not isinstance(record, dict):
        raise InputError(f"{path}, line {number} is not a record of keys and values.")
    return cast("Record", record)


def _shorten(line: bytes, length: int = 60) -> str:
    text = line.decode("utf-8", errors="replace").strip()
    return text if len(text) <= length else text[:length] + "…"
