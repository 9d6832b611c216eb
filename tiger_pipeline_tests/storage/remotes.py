"""Machines that share a store in memory, whose operations can be interrupted one by one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tiger_pipeline.storage.atomic import atomic_directory, atomic_file
from tiger_pipeline.storage.mirror import MirroredStore
from tiger_pipeline.storage.remote import RemoteArtifacts

URL = "memory://bucket/prefix"
ROOT = "/bucket/prefix"


OLD = {"config.json": "old", "model.safetensors": "old weights"}
NEW = {"config.json": "new", "model.safetensors": "new weights", "sub/history.json": "[1]"}
NEWER = {"config.json": "newer", "model.safetensors": "newer weights"}


class Counting(AbstractFileSystem):
    """Calls `before` with the number of each operation on an object; it may raise.

    Operations are those that a bucket would see: a file read, written, renamed or removed, a folder
    listed. An upload that is interrupted leaves half a file, as on a file system.
    """

    cachable = False

    def __init__(self, before: Callable[[int], None], **options: Any) -> None:
        super().__init__(**options)
        self.operations = 0
        self._before = before

    def _count(self) -> None:
        self.operations += 1
        self._before(self.operations)

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> bytes:
        self._count()
        return super().cat_file(path, *args, **kwargs)

    def pipe_file(self, path: str, value: bytes, *args: Any, **kwargs: Any) -> None:
        self._count()
        super().pipe_file(path, value, *args, **kwargs)

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        try:
            self._count()
        except BaseException:
            content = Path(lpath).read_bytes()
            super().pipe_file(rpath, content[: len(content) // 2])
            raise
        super().put_file(lpath, rpath, *args, **kwargs)

    def get_file(self, rpath: str, lpath: str, *args: Any, **kwargs: Any) -> None:
        self._count()
        super().get_file(rpath, lpath, *args, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self._count()
        super().mv(path1, path2, **kwargs)

    def rm(self, path: str, **kwargs: Any) -> None:
        self._count()
        super().rm(path, **kwargs)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        self._count()
        return super().ls(path, detail=detail, **kwargs)


class CountingMemory(Counting, MemoryFileSystem):
    """Objects that appear whole, as in a bucket; each dict of them is a store of its own."""

    def __init__(self, objects: dict[str, Any], before: Callable[[int], None]) -> None:
        super().__init__(before)
        self.store, self.pseudo_dirs = objects, [""]  # the class shares one of each otherwise


class CountingFolder(Counting, LocalFileSystem):
    """Files."""


Bucket = dict[str, Any] | Path
"""Objects in memory, or a folder."""


def machine(
    copies: Path, bucket: Bucket, before: Callable[[int], None] = lambda number: None
) -> MirroredStore:
    """A machine with its copies in a folder; those with the same bucket share a store."""
    writer = hashlib.sha256(str(copies).encode()).hexdigest()[:8]
    filesystem: Counting
    if isinstance(bucket, Path):
        filesystem, root = CountingFolder(before, auto_mkdir=True), str(bucket)
    else:
        filesystem, root = CountingMemory(bucket, before), ROOT
    return MirroredStore(copies, RemoteArtifacts(filesystem, root, URL, writer), 0.02)


def objects_in(bucket: Bucket) -> set[str]:
    """The objects' paths below the store's URL."""
    if isinstance(bucket, Path):
        files = (path for path in bucket.rglob("*") if path.is_file())
        return {path.relative_to(bucket).as_posix() for path in files}
    return {path.removeprefix(f"{ROOT}/") for path in bucket}


def interrupting(at: int, error: BaseException) -> Callable[[int], None]:
    """For `machine`: the operation of that number, and every later one, is interrupted."""

    def before(number: int) -> None:
        if number >= at:
            raise error

    return before


def doing(at: int, action: Callable[[], None]) -> Callable[[int], None]:
    """For `machine`: something else happens just before the operation of that number."""

    def before(number: int) -> None:
        if number == at:
            action()

    return before


def operations(store: MirroredStore) -> int:
    """How many operations a machine has done."""
    filesystem = store.remote._filesystem
    assert isinstance(filesystem, Counting)
    return filesystem.operations


def write(path: Path, content: dict[str, str] | str) -> None:
    """Replace the artifact at `path`: a file with a text, or a directory of such files."""
    if isinstance(content, str):
        with atomic_file(path) as scratch:
            scratch.write_text(content)
        return
    with atomic_directory(path) as scratch:
        for name, text in content.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_text(text)


def read(path: Path) -> dict[str, str] | str | None:
    """What `write` wrote, or None where there is nothing."""
    if path.is_dir():
        return {
            file.relative_to(path).as_posix(): file.read_text()
            for file in path.rglob("*")
            if file.is_file()
        }
    return path.read_text() if path.is_file() else None
