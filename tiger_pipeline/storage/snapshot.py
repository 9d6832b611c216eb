"""A folder's files as they were at one moment, though another process may replace the folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FileStamp = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds: differs once a file is replaced."""


def stamps_of(path: Path) -> dict[str, FileStamp]:
    """What tells whether the artifact at `path` was touched, by the name of each file in it.

    Args:
        path: a file, whose name stands for it, or a directory, in whose files are named by their
            relative paths; names that begin with a dot are scratch and left out.

    Raises:
        FileNotFoundError: there is nothing at `path`, or a file vanished meanwhile.
    """
    if path.is_file():
        return {path.name: _stamp(path)}
    return {
        file.relative_to(path).as_posix(): _stamp(file)
        for folder in _folders(path)
        for file in sorted(folder.iterdir())
        if not file.name.startswith(".") and file.is_file()
    }


@contextmanager
def snapshot(path: Path, copy: Path) -> Iterator[dict[str, FileStamp]]:
    """Keep the files of the artifact at `path`, all of one moment, in `copy`; yield their stamps.

    Artifacts are replaced by renaming and files in them never change, so links to them suffice.

    Args:
        path: a file or a directory, as of `stamps_of`.
        copy: folder on the same disk for the links; replaced first, and removed afterwards.

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    try:
        yield _link_all(path, copy)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _link_all(path: Path, copy: Path) -> dict[str, FileStamp]:
    while True:
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        try:
            before = _moment(path)
            stamps = stamps_of(path)
            for name in stamps:
                _link(path if path.is_file() else path / name, copy / name)
            if _moment(path) == before:
                return stamps
        except FileNotFoundError:
            if not path.exists():
                raise


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a disk without hard links
        shutil.copy2(source, target)


def _moment(path: Path) -> list[tuple[int, int]]:
    """What changes when anything below `path` is renamed, added or removed."""
    folders = [path] if path.is_file() else _folders(path)
    return [(status.st_ino, status.st_mtime_ns) for status in map(os.stat, folders)]


def _folders(path: Path) -> list[Path]:
    inside = [f for f in sorted(path.iterdir()) if f.is_dir() and not f.name.startswith(".")]
    return [path, *(below for folder in inside for below in _folders(folder))]


def _stamp(file: Path) -> FileStamp:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
