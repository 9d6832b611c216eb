"""Artifacts in a bucket: files under a version of their own, and one small object that names it.

```
generator/demo/random/current.json                 the pointer: version, files, sizes, checksums
generator/demo/random/<version>/model.safetensors  never changed once it is there
```

A publication uploads all files under a fresh version and replaces the pointer last, so whoever
reads the pointer first sees the artifact as it was or as it is, whole. Of two publications at once
the later pointer holds. Needed of the store: an object that was written can be read, and one that
is written again changes whole. Both hold for S3 and Google Cloud Storage, and for local folders.
"""

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.atomic import is_full_disk
from tiger_pipeline.storage.remote_url import without_secrets

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_log = logging.getLogger(__name__)

_POINTER = "current.json"
_FUTURE_POINTER = ".current.json"
_TIME = "%Y%m%dT%H%M%SZ"
_VERSION = re.compile(r"v-(?P<time>\d{8}T\d{6}Z)-(?P<writer>[0-9a-f]{8})-[0-9a-f]{8}")
_ABANDONED_AFTER = timedelta(days=1)
"""An upload of another machine that began so long ago is not under way any more."""


class VanishedError(Exception):
    """A version, or a part of it, is not there. The mirror catches it; no user sees it."""


@dataclass(frozen=True)
class StoredFile:
    """What a file must be, byte for byte."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "StoredFile":
        """The facts of a local file."""
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return cls(path.stat().st_size, digest.hexdigest())


@dataclass(frozen=True)
class Version:
    """One version of an artifact: its name, and its files by their relative paths."""

    name: str
    files: Mapping[str, StoredFile]


class RemoteArtifacts:
    """Artifacts by their keys, such as `generator/demo/random` or `items/demo.parquet`.

    Attributes:
        shown: the store's URL as it may be shown.
    """

    def __init__(
        self, filesystem: "AbstractFileSystem", path: str, shown: str, writer: str
    ) -> None:
        """Open the artifacts in a folder of a file system.

        Args:
            filesystem: one that does not cache listings.
            path: of the store in it.
            shown: its URL without secrets.
            writer: eight hexadecimal digits that no other machine has. Only one publication of a
                key by the same writer may be under way.
        """
        self.shown = shown
        self._filesystem = filesystem
        self._path = path
        self._writer = writer

    def current(self, key: str) -> Version | None:
        """The current version of an artifact, or None where there is no such artifact.

        Raises:
            ArtifactError: the store cannot be reached, or the pointer is damaged.
        """
        content = self._pointer(key)
        if content is None:
            return None
        version = _parse_pointer(content)
        if version is None:
            raise ArtifactError(
                f"{self.shown}/{key}/{_POINTER} is damaged. Delete it and materialize the asset "
                "again."
            )
        return version

    def keys(self, folder: str) -> list[str]:
        """The keys of all artifacts below a folder, such as `generator`, in order."""
        start = f"{self._path}/"
        with self._reaching(folder, "listed"):
            try:
                found = self._filesystem.find(self._object(folder))
            except FileNotFoundError:
                return []
        return sorted(
            path[len(start) : -len(_POINTER) - 1]
            for path in found
            if path.startswith(start) and PurePosixPath(path).name == _POINTER
        )

    def publish(self, key: str, folder: Path, names: list[str]) -> Version:
        """Make local files the current version of an artifact; nothing is sent if they are it.

        Args:
            key: of the artifact.
            folder: where the files are; they must not change meanwhile.
            names: their relative paths.

        Raises:
            ArtifactError: the store cannot be written; the current version stays what it was.
        """
        files = {name: StoredFile.of(folder / name) for name in names}
        content = self._pointer(key)
        replaced = None if content is None else _parse_pointer(content)
        if replaced is not None and replaced.files == files and self._is_complete(key, replaced):
            return replaced
        version = Version(self._fresh_name(), files)
        with self._reaching(key, "written"):
            for name in files:
                self._filesystem.put_file(str(folder / name), self._object(key, version.name, name))
            self._write_pointer(key, version)
        self._clean(key, version.name, replaced)
        return version

    def download(self, key: str, version: Version, name: str, target: Path) -> None:
        """Write one file of a version to `target`.

        Raises:
            VanishedError: the file is not there as the version says, as when it was replaced.
            ArtifactError: the store cannot be reached.
            OSError: the local disk is full.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._reaching(key, "read"), suppress(FileNotFoundError):
            self._filesystem.get_file(self._object(key, version.name, name), str(target))
        if not target.is_file() or StoredFile.of(target) != version.files.get(name):
            raise VanishedError(name)

    def withdraw(self, key: str) -> None:
        """Remove an artifact, if there is one: first its pointer, then its files.

        Raises:
            ArtifactError: the store cannot be written.
        """
        version = self.current(key)
        if version is None:
            return
        with self._reaching(key, "removed"), suppress(FileNotFoundError):
            self._filesystem.rm_file(self._object(key, _POINTER))
        self._clean(key, None, version)

    def _object(self, *names: str) -> str:
        return "/".join([self._path, *names])

    def _pointer(self, key: str) -> bytes | None:
        with self._reaching(key, "read"):
            try:
                return self._filesystem.cat_file(self._object(key, _POINTER))
            except FileNotFoundError:
                return None

    def _write_pointer(self, key: str, version: Version) -> None:
        from fsspec.implementations.local import LocalFileSystem

        files = {name: asdict(file) for name, file in version.files.items()}
        content = json.dumps({"version": version.name, "files": files}, indent=1).encode()
        pointer = self._object(key, _POINTER)
        if isinstance(self._filesystem, LocalFileSystem):  # a file changes whole by renaming only
            future = self._object(key, version.name, _FUTURE_POINTER)
            self._filesystem.pipe_file(future, content)
            self._filesystem.mv(future, pointer)
        else:
            self._filesystem.pipe_file(pointer, content)

    def _fresh_name(self) -> str:
        now = datetime.now(timezone.utc).strftime(_TIME)
        return f"v-{now}-{self._writer}-{uuid.uuid4().hex[:8]}"

    def _is_complete(self, key: str, version: Version) -> bool:
        folder = self._object(key, version.name)
        with self._reaching(key, "listed"):
            try:
                found = self._filesystem.find(folder, detail=True)
            except FileNotFoundError:
                return False
        sizes = {path[len(folder) + 1 :]: facts["size"] for path, facts in found.items()}
        return all(sizes.get(name) == file.size for name, file in version.files.items())

    def _clean(self, key: str, kept: str | None, replaced: Version | None) -> None:
        """Remove the version that was replaced and what interrupted uploads left.

        Uploads of other machines may be under way, so theirs stay for a day. What cannot be
        removed now is removed by the next publication.
        """
        try:
            with self._reaching(key, "cleaned"), suppress(FileNotFoundError):
                for path in self._filesystem.ls(self._object(key), detail=False):
                    name = PurePosixPath(path).name
                    is_replaced = replaced is not None and name == replaced.name
                    if name != kept and (is_replaced or self._is_left_over(name)):
                        self._filesystem.rm(path, recursive=True)
        except ArtifactError as error:
            _log.warning("%s", error)

    def _is_left_over(self, name: str) -> bool:
        parts = _VERSION.fullmatch(name)
        if parts is None:
            return False
        begun = datetime.strptime(parts["time"], _TIME).replace(tzinfo=timezone.utc)
        is_old = datetime.now(timezone.utc) - begun > _ABANDONED_AFTER
        return parts["writer"] == self._writer or is_old

    @contextmanager
    def _reaching(self, key: str, done: str) -> Iterator[None]:
        """Name what fails. Each backend has exceptions of its own, so all of them are caught."""
        try:
            yield
        except Exception as error:
            if done == "read" and is_full_disk(error):
                raise
            reason = without_secrets(f"{type(error).__name__}: {error}")
            raise ArtifactError(
                f"{self.shown}/{key} could not be {done} ({reason}). Nothing half-written is "
                "visible. Check that the bucket exists, the network and the credentials, and run "
                "again."
            ) from None  # the backend's own message may hold secrets


def _parse_pointer(content: bytes) -> Version | None:
    """The version that a pointer names; None if it is damaged or names a file outside."""
    try:
        pointer = json.loads(content)
        name, files = pointer["version"], pointer["files"]
        stored = {file: StoredFile(**facts) for file, facts in files.items()}
        is_safe = _VERSION.fullmatch(name) and all(map(_stays_inside, stored))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Version(name, stored) if is_safe else None


def _stays_inside(name: str) -> bool:
    """Whether a relative path is one that `publish` could have written."""
    return "\\" not in name and all(part and not part.startswith(".") for part in name.split("/"))
