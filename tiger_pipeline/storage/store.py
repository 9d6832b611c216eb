"""Where artifacts live: one folder an asset, one level of folders a partition dimension."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9_]+")
_TABLE = ".parquet"
_RESUMABLE = ".resumable"


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts of every stage under one root folder.

    Tables are `<root>/<asset>/<dataset>[/<variant>].parquet`, directories the same without the
    suffix, and unfinished work that can be resumed is under `<root>/.resumable/`.

    All work is done on paths of this folder. Whoever reads an artifact calls `fetch` with its path
    before, whoever wrote one `publish` after: here they do nothing, for a store in a bucket
    (`mirror.MirroredStore`) they are what other machines see.
    """

    root: Path

    def table(self, asset: str, *partition: str) -> Path:
        """Path of the parquet file of an asset's partition."""
        return self._path(asset, *partition).with_suffix(_TABLE)

    def directory(self, asset: str, *partition: str) -> Path:
        """Path of the directory of an asset's partition."""
        return self._path(asset, *partition)

    def resumable(self, asset: str, *partition: str) -> Path:
        """Path of a folder for work in progress that a later run may resume."""
        return self.root / _RESUMABLE / self._path(asset, *partition).relative_to(self.root)

    def _path(self, *names: str) -> Path:
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"{name!r} cannot name an artifact: use lower-case letters, digits and '_'."
                )
        return self.root.joinpath(*names)

    @property
    def embedding_cache(self) -> Path:
        """Folder of the content-addressed embedding cache, shared by all datasets."""
        return self.root / "embedding_cache"

    def fetch(self, path: Path) -> Path:
        """Make the artifact at `path` the one that was published last, and return `path`.

        Nothing is at `path` afterwards if there is no such artifact.

        Raises:
            ArtifactError: the artifact cannot be read.
        """
        return path

    def resume(self, path: Path) -> Path:
        """Like `fetch`, but what this machine did since the last publication is kept.

        Raises:
            ArtifactError: the artifact cannot be read.
        """
        return path

    def publish(self, path: Path) -> None:
        """Make the artifact at `path` the current one for everybody, whole or not at all.

        Raises:
            ArtifactError: there is none at `path`, or it cannot be written.
        """

    def location(self, path: Path) -> str:
        """Where others find the artifact at `path`: a path, or a URL."""
        return str(path)

    def link(self, directory: Path, name: str) -> str:
        """URL of a file in a directory that was fetched or published."""
        return (directory / name).as_uri()

    def partitions(self, asset: str, dimensions: int) -> set[tuple[str, ...]]:
        """The partitions of an asset that exist.

        Args:
            asset: name.
            dimensions: 1 where an asset is partitioned by dataset, 2 by dataset × variant.

        Raises:
            ArtifactError: they cannot be listed.
        """
        found = (self.root / asset).glob("/".join("*" * dimensions))
        keys = [path.relative_to(self.root).as_posix() for path in found]
        return partitions_among(keys, dimensions)

    @contextmanager
    def resuming(self, asset: str, *partition: str) -> Iterator[Path]:
        """The folder of `resumable`, with the state of interrupted work in it, on any machine.

        While the block runs, each state that appears in the folder is published. A block that
        succeeds and leaves no folder behind ends the work: its state is removed everywhere.

        Raises:
            ArtifactError: the state cannot be read or written.
        """
        yield self.resumable(asset, *partition)

    @contextmanager
    def sharing_embeddings(self, encoder_fingerprint: str) -> Iterator[Path]:
        """The folder `embedding_cache`, with all that any machine has encoded by one encoder.

        What is added while the block runs is there for the others at its end, even if it fails.

        Args:
            encoder_fingerprint: name of the folder in the cache.

        Raises:
            ArtifactError: the cache cannot be read or written.
        """
        yield self.embedding_cache


def is_table(path: Path) -> bool:
    """Whether the artifact at `path` is one file; else it is a directory."""
    return path.suffix == _TABLE


def partitions_among(keys: list[str], dimensions: int) -> set[tuple[str, ...]]:
    """The partitions in keys such as `semantic_ids/demo/random.parquet` with that many parts."""
    parts = [tuple(key.removesuffix(_TABLE).split("/")[1:]) for key in keys]
    return {
        names for names in parts if len(names) == dimensions and all(map(_NAME.fullmatch, names))
    }
