"""Where artifacts live: one folder an asset, one level of folders a partition dimension."""

import re
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts of every stage under one root folder.

    Tables are `<root>/<asset>/<dataset>[/<variant>].parquet`, directories the same without the
    suffix, and unfinished work that can be resumed is under `<root>/.resumable/`.
    """

    root: Path

    def table(self, asset: str, *partition: str) -> Path:
        """Path of the parquet file of an asset's partition."""
        return self._path(asset, *partition).with_suffix(".parquet")

    def directory(self, asset: str, *partition: str) -> Path:
        """Path of the directory of an asset's partition."""
        return self._path(asset, *partition)

    def resumable(self, asset: str, *partition: str) -> Path:
        """Path of a folder for work in progress that a later run may resume."""
        return self.root / ".resumable" / self._path(asset, *partition).relative_to(self.root)

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
