"""Rows of incoming files that could not be used, set aside beside them with the reasons."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tiger_pipeline.catalog.incoming_files import REJECTED_FOLDER
from tiger_pipeline.storage.atomic import atomic_file


@dataclass(frozen=True)
class RejectedRow:
    """A row that was left out.

    Attributes:
        file: name of the incoming file.
        row: its number there, counted from 1; None where the whole file was left out.
        item_id: None where it is missing or cannot be read.
        reason: one sentence.
        content: the row as it stands in the file, as far as it can be shown.
    """

    file: str
    row: int | None
    item_id: str | None
    reason: str
    content: str


def write_rejected(folder: Path, rejected: Sequence[RejectedRow]) -> list[Path]:
    """Make `incoming/rejected/` hold exactly these rows, one JSON-lines file an incoming file.

    A file of an earlier run is replaced; where nothing is wrong any more, it is removed.

    Args:
        folder: the `incoming/` folder.
        rejected: rows of any of its files.

    Returns:
        The files, sorted.

    Raises:
        ArtifactError: a file could not be written.
    """
    lines: dict[Path, list[str]] = {}
    for row in rejected:
        path = folder / REJECTED_FOLDER / f"{row.file}.jsonl"
        lines.setdefault(path, []).append(json.dumps(asdict(row), ensure_ascii=False))
    for path, rows in lines.items():
        text = "\n".join(rows) + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            with atomic_file(path) as scratch:
                scratch.write_text(text, encoding="utf-8")
    for earlier in (folder / REJECTED_FOLDER).glob("*.jsonl"):
        if earlier not in lines:
            earlier.unlink(missing_ok=True)
    return sorted(lines)
