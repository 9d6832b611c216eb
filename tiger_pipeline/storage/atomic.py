"""Files and directories that appear whole or not at all: written beside, then renamed."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiger_pipeline.errors import ArtifactError

_SCRATCH_PREFIX = ".writing-"


def _beside(target: Path) -> Path:
    """A fresh name next to `target`, whose folder is created: a rename must not cross disks."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explain(error, target) from error
    return target.parent / f"{_SCRATCH_PREFIX}{target.name}-{uuid.uuid4().hex[:8]}"


def is_full_disk(error: Exception) -> bool:
    """Whether an error says that a disk is full or a quota is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _explain(error: OSError, target: Path) -> ArtifactError:
    if is_full_disk(error):
        return ArtifactError(
            f"The disk that holds {target} is full; nothing was replaced. Free some space, or "
            "point TIGER_STORE (TIGER_CACHE for a store in a bucket) at another disk, and run "
            "again."
        )
    return ArtifactError(f"Could not write {target}: {error.strerror or error}.")


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a scratch path beside `target`; rename it to `target` when the block succeeds.

    When the block fails the scratch file is removed and an earlier `target` stays as it was.

    Raises:
        ArtifactError: the file could not be written (a full disk is named as such).
    """
    scratch = _beside(target)
    try:
        yield scratch
        with open(scratch, "rb") as written:
            os.fsync(written.fileno())
        os.replace(scratch, target)
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield a scratch directory beside `target`; swap it in as `target` when the block succeeds.

    When the block fails the scratch directory is removed and an earlier `target` stays as it was.

    Raises:
        ArtifactError: the directory could not be written (a full disk is named as such).
    """
    scratch = _beside(target)
    retired = _beside(target)
    try:
        scratch.mkdir()
        yield scratch
        if target.exists():
            os.rename(target, retired)
        os.rename(scratch, target)
    except OSError as error:
        if retired.exists() and not target.exists():
            os.rename(retired, target)
        raise _explain(error, target) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)
