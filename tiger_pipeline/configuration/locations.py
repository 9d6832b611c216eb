"""Folders that the pipeline reads from and writes to, each set by one environment variable."""

import hashlib
import os
from pathlib import Path

from tiger_pipeline.storage.mirror import MirroredStore
from tiger_pipeline.storage.process_locks import ProcessLocks
from tiger_pipeline.storage.remote_url import is_url
from tiger_pipeline.storage.store import ArtifactStore

_CHECKOUT = Path(__file__).resolve().parents[2]


def _base() -> Path:
    """The checkout, or the current folder where the package is installed without one."""
    return _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()


def open_store(location: str = "") -> ArtifactStore:
    """The artifact store.

    Args:
        location: a folder, or a URL such as `s3://bucket/prefix`; by default `TIGER_STORE`, else
            `artifacts` in the checkout.

    Raises:
        ConfigurationError: the URL is no good, or the package for its protocol is missing.
    """
    location = location or _store_location()
    if is_url(location):
        return MirroredStore.open(location, _copies_of(location))
    return ArtifactStore(_folder(location))


def store_root() -> Path:
    """Folder of the artifacts, or of their local copies where `TIGER_STORE` is a URL."""
    location = _store_location()
    return _copies_of(location) if is_url(location) else _folder(location)


def _store_location() -> str:
    return os.environ.get("TIGER_STORE") or str(_base() / "artifacts")


def _folder(location: str) -> Path:
    return Path(location).expanduser().resolve()


def _copies_of(url: str) -> Path:
    """Folder of the local copies of a store: in `TIGER_CACHE`, else in the user's cache folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = _folder(os.environ.get("TIGER_CACHE") or f"{caches}/tiger_pipeline")
    return folder / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def data_root() -> Path:
    """Folder of raw datasets: `TIGER_DATA`, else `data` in the checkout."""
    return Path(os.environ.get("TIGER_DATA") or _base() / "data").expanduser().resolve()


def dagster_home() -> Path:
    """Folder of Dagster's records: `DAGSTER_HOME`, else `dagster_home` in the checkout."""
    return Path(os.environ.get("DAGSTER_HOME") or _base() / "dagster_home").resolve()


def run_locks(home: Path) -> ProcessLocks:
    """The locks of the processes that execute runs, by run id.

    Args:
        home: folder of Dagster's records.
    """
    return ProcessLocks(home / "run_locks")


def preset_folders() -> list[Path]:
    """Folders with `datasets/*.yaml` and `variants/*.yaml`: the package's, and `TIGER_CONFIG`."""
    folders = [Path(__file__).resolve().parent]
    if own := os.environ.get("TIGER_CONFIG"):
        folders.append(Path(own).expanduser().resolve())
    return folders
