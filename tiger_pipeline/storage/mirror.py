"""A store in a bucket, worked on through local copies: what the science reads and writes is files.

Beside the copies, `.mirror/` keeps which version of an artifact each one is, and a lock for each.
The whole folder can be deleted at any time: all of it but unfinished work comes back.
"""

import hashlib
import json
import platform
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.atomic import atomic_directory, atomic_file
from tiger_pipeline.storage.background import repeating
from tiger_pipeline.storage.remote import RemoteArtifacts, VanishedError, Version
from tiger_pipeline.storage.remote_url import open_filesystem, without_secrets
from tiger_pipeline.storage.snapshot import FileStamp, snapshot, stamps_of
from tiger_pipeline.storage.store import ArtifactStore, is_table, partitions_among

_BOOKS = ".mirror"


@dataclass(frozen=True)
class MirroredStore(ArtifactStore):
    """Artifacts in a bucket, with copies under `root`.

    Attributes:
        remote: the artifacts.
        seconds_between_looks: how often work in progress is looked at for something to publish.
    """

    remote: RemoteArtifacts
    seconds_between_looks: float = 5.0

    @classmethod
    def open(cls, url: str, copies: Path) -> "MirroredStore":
        """The store at a URL, with its copies in a folder.

        Raises:
            ConfigurationError: the URL is no good, or a package for it is missing.
            ArtifactError: the folder cannot be written.
        """
        filesystem, path = open_filesystem(url)
        shown = without_secrets(url).rstrip("/")
        return cls(copies, RemoteArtifacts(filesystem, path, shown, _writer(copies / _BOOKS)))

    def fetch(self, path: Path) -> Path:
        """Make the local copy the current version; see `ArtifactStore.fetch`."""
        key = self._key(path)
        with self._lock(key):
            version = self.remote.current(key)
            damaged = None
            while version is not None and not self._holds(key, version, path):
                try:
                    self._download(key, version, path)
                except VanishedError as vanished:  # replaced meanwhile, or damaged
                    if damaged == version:
                        raise ArtifactError(
                            f"{self.remote.shown}/{key} is damaged: {vanished} in {version.name} "
                            "is missing or has other bytes. Materialize the asset again."
                        ) from None
                    damaged, version = version, self.remote.current(key)
            if version is None:
                self._remove_copy(key, path)
        return path

    def resume(self, path: Path) -> Path:
        """Make the local copy the current version unless it began as that."""
        key = self._key(path)
        with self._lock(key):
            version = self.remote.current(key)
            begun_as, _ = self._record(key)
            is_ahead = path.exists() and begun_as == (version.name if version else None)
        return path if is_ahead else self.fetch(path)

    def publish(self, path: Path) -> None:
        """Upload the local copy and make it the current version."""
        key = self._key(path)
        copy = self._books / "snapshots" / _digest(key)
        try:
            with self._lock(key), snapshot(path, copy) as stamps:
                if not stamps:  # such as work in progress that is just being replaced
                    raise FileNotFoundError(path)
                version = self.remote.publish(key, copy, list(stamps))
                self._keep_record(key, version.name, stamps)
        except FileNotFoundError as error:
            raise ArtifactError(
                f"There is no file at {path}, so it cannot be published. Materialize its asset "
                "again."
            ) from error

    def location(self, path: Path) -> str:
        """The URL of the artifact at `path`, without secrets."""
        return f"{self.remote.shown}/{self._key(path)}"

    def link(self, directory: Path, name: str) -> str:
        """The URL of the object, which is there until its artifact is published anew."""
        version, _ = self._record(self._key(directory))
        return f"{self.location(directory)}/{version}/{name}"

    def partitions(self, asset: str, dimensions: int) -> set[tuple[str, ...]]:
        """The partitions in the bucket."""
        return partitions_among(self.remote.keys(asset), dimensions)

    @contextmanager
    def resuming(self, asset: str, *partition: str) -> Iterator[Path]:
        """Share the state of unfinished work; see `ArtifactStore.resuming`."""
        folder = self.resume(self.resumable(asset, *partition))
        with repeating(lambda: self._publish_changed(folder), self.seconds_between_looks):
            yield folder
        if not folder.exists():
            self._withdraw(folder)

    @contextmanager
    def sharing_embeddings(self, encoder_fingerprint: str) -> Iterator[Path]:
        """Fetch the parts that are missing here, and publish those that are missing there."""
        folder = self.embedding_cache / encoder_fingerprint
        published = {Path(key).name for key in self.remote.keys(self._key(folder))}
        for name in sorted(published):
            if not (folder / name).exists():  # parts never change
                self.fetch(folder / name)

        def publish_new() -> None:
            for part in sorted(folder.glob("part-*.parquet")):
                if part.name not in published:
                    self.publish(part)
                    published.add(part.name)

        with repeating(publish_new, self.seconds_between_looks):
            yield self.embedding_cache

    def _publish_changed(self, folder: Path) -> None:
        """Publish work in progress if there is some and it is not the published one."""
        try:
            stamps = stamps_of(folder)
        except FileNotFoundError:
            return  # nothing yet, or it is just being replaced
        if stamps and stamps != self._record(self._key(folder))[1]:
            self.publish(folder)

    def _withdraw(self, path: Path) -> None:
        key = self._key(path)
        with self._lock(key):
            self.remote.withdraw(key)
            self._remove_copy(key, path)

    def _download(self, key: str, version: Version, path: Path) -> None:
        if is_table(path):
            with atomic_file(path) as scratch:
                self.remote.download(key, version, path.name, scratch)
        else:
            with atomic_directory(path) as scratch:
                for name in version.files:
                    self.remote.download(key, version, name, scratch / name)
        self._keep_record(key, version.name, stamps_of(path))

    def _holds(self, key: str, version: Version, path: Path) -> bool:
        """Whether the local copy is this version and was not touched since."""
        name, stamps = self._record(key)
        try:
            return name == version.name and stamps == stamps_of(path)
        except FileNotFoundError:
            return False

    def _remove_copy(self, key: str, path: Path) -> None:
        self._record_path(key).unlink(missing_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    @property
    def _books(self) -> Path:
        return self.root / _BOOKS

    def _lock(self, key: str) -> AbstractContextManager[object]:
        return _lock(self._books / "locks" / _digest(key))

    def _record_path(self, key: str) -> Path:
        return self._books / "versions" / f"{_digest(key)}.json"

    def _record(self, key: str) -> tuple[str | None, dict[str, FileStamp]]:
        """The version that the local copy was made from or published as, and its files then."""
        try:
            record = json.loads(self._record_path(key).read_text(encoding="utf-8"))
            stamps = {name: (size, time) for name, (size, time) in record["files"].items()}
            return record["version"], stamps
        except (OSError, ValueError, KeyError, TypeError):
            return None, {}  # as good as no copy

    def _keep_record(self, key: str, version: str, stamps: dict[str, FileStamp]) -> None:
        with atomic_file(self._record_path(key)) as scratch:
            text = json.dumps({"artifact": key, "version": version, "files": stamps}, indent=1)
            scratch.write_text(text, encoding="utf-8")


def _digest(key: str) -> str:
    """A file name for any key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _lock(path: Path) -> AbstractContextManager[object]:
    """Exclude other processes and threads of this machine; a killed process lets go."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_suffix(".lock"))


def _writer(books: Path) -> str:
    """Eight hexadecimal digits of this machine and folder, the same each time.

    The host's name is in it: a copied folder (a container's image) is another writer.
    """
    path = books / "writer"
    try:
        with _lock(path):
            if not path.is_file():
                with atomic_file(path) as scratch:
                    scratch.write_text(uuid.uuid4().hex, encoding="utf-8")
        return _digest(f"{platform.node()} {path.read_text(encoding='utf-8')}")[:8]
    except OSError as error:
        raise ArtifactError(
            f"The folder of local copies {books.parent} cannot be written ({error.strerror}). "
            "Point TIGER_CACHE at one that can."
        ) from error
