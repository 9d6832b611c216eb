"""The folders that a run writes to: whether it may, and how much room is left."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tiger_pipeline.configuration.locations import open_store, store_root
from tiger_pipeline.diagnosis.finding import Finding
from tiger_pipeline.errors import TigerError
from tiger_pipeline.storage.remote_url import is_url, without_secrets

_AREA = "Places"
_GIB = 2**30
_TOO_LITTLE, _LITTLE = 0.2 * _GIB, 5 * _GIB


def check_store() -> Iterator[Finding]:
    """The artifact store: its folder, or its bucket and the folder of local copies."""
    url = os.environ.get("TIGER_STORE", "")
    if not is_url(url):
        yield check_folder("artifact store", store_root(), "TIGER_STORE")
        return
    yield check_folder("copies of artifacts", store_root(), "TIGER_CACHE")
    yield _check_bucket(url)


def _check_bucket(url: str) -> Finding:
    shown = without_secrets(url)
    try:
        datasets = open_store(url).partitions("items", 1)
    except TigerError as error:
        return Finding(_AREA, "artifact store", shown, "error", str(error))
    return Finding(_AREA, "artifact store", f"{shown}, {len(datasets)} datasets")


def check_folder(
    name: str, folder: Path, variable: str, free: Callable[[Path], int] | None = None
) -> Finding:
    """Whether files can be written to a folder, which need not exist yet.

    Args:
        name: what it is for.
        folder: the folder.
        variable: the environment variable that moves it.
        free: bytes left on the disk that holds a folder; default: asked from the system.
    """
    existing = _nearest_existing(folder)
    reason = _why_not_writable(existing)
    elsewhere = f"or set {variable} to a folder on another disk"
    if reason:
        advice = f"Make it writable, {elsewhere}."
        return Finding(_AREA, name, f"{folder}: {reason}", "error", advice)
    left = (free or _free)(existing)
    found = f"{folder}, {left / _GIB:.1f} GiB free"
    if left < _TOO_LITTLE:
        return Finding(_AREA, name, found, "error", f"Free some space, {elsewhere}.")
    if left < _LITTLE:
        advice = (
            f"Embeddings and checkpoints of large datasets may not fit: free some, {elsewhere}."
        )
        return Finding(_AREA, name, found, "warning", advice)
    return Finding(_AREA, name, found)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _nearest_existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _why_not_writable(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} is a file"
    try:
        # Only trying tells: permissions say nothing of read-only mounts, quotas and root.
        handle, path = tempfile.mkstemp(prefix=".tiger-doctor-", dir=folder)
        os.close(handle)
        os.unlink(path)
    except OSError as error:
        return f"not writable ({error.strerror or error})"
    return ""
