"""Which files of a dataset's `incoming/` folder are complete, judged without opening them.

Names and times are enough to look at thousands of files in a sensor's tick. Runs apply the same
rule, so that a run which a complete file started does not read its half-written neighbor.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.errors import InputError

REJECTED_FOLDER = "rejected"
"""Folder inside `incoming/` to which broken rows are set aside."""

_TEMPORARY_STARTS = (".", "_", "~")
_TEMPORARY_ENDS = ("~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp")


@dataclass(frozen=True)
class IncomingFiles:
    """The files of an `incoming/` folder, each group sorted by name.

    Attributes:
        complete: files that can be read.
        unsettled: files that changed a moment ago: perhaps still being written.
    """

    complete: tuple[Path, ...] = ()
    unsettled: tuple[Path, ...] = ()


def is_temporary(name: str) -> bool:
    """Whether a file's name says that it is not meant to be read, such as `.new.tsv.x7`."""
    return name.startswith(_TEMPORARY_STARTS) or name.lower().endswith(_TEMPORARY_ENDS)


def is_settled(path: Path, settle_seconds: float, now: float | None = None) -> bool:
    """Whether a file has not changed for `settle_seconds`.

    Args:
        path: the file.
        settle_seconds: time in which a writer would have gone on.
        now: unix seconds; default: the present.

    Raises:
        FileNotFoundError: it has vanished.
    """
    return (time.time() if now is None else now) - path.stat().st_mtime >= settle_seconds


def find_incoming(folder: Path, settle_seconds: float, now: float | None = None) -> IncomingFiles:
    """Look at the files of an `incoming/` folder; an absent folder has none.

    Files with temporary names are left out until their writer renames them.

    Raises:
        InputError: the folder cannot be listed.
    """
    complete: list[Path] = []
    unsettled: list[Path] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            if not entry.is_file() or is_temporary(entry.name):
                continue
            settled = is_settled(Path(entry.path), settle_seconds, now)
            (complete if settled else unsettled).append(Path(entry.path))
    except FileNotFoundError:
        if folder.is_dir():  # a file was renamed or removed while it was looked at: look again
            return find_incoming(folder, settle_seconds, now)
        return IncomingFiles()
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    return IncomingFiles(tuple(complete), tuple(unsettled))
