"""Locks that tell what has a living process from what a killed process left behind."""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_log = logging.getLogger(__name__)


class ProcessLocks:
    """Names that processes hold, each by a lock on a file of its own.

    The operating system lets go of a lock when its process ends, however it ends: a file that
    nobody has locked was left by a process that was killed. Unlike process ids this holds across
    containers, machines that share the folder, and restarts.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is made when it is needed; nothing else may be kept in it."""
        self.folder = folder

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold `name` while the block runs; several processes, and several blocks of one, may.

        Where the folder cannot be written, or its file system knows no locks, the block runs
        all the same and nobody learns of it.
        """
        path = self.folder / f"{name}.{uuid.uuid4().hex}.lock"
        lock = self._take(path)
        try:
            yield
        finally:
            if lock is not None:
                with suppress(OSError), self._alone():  # whoever removed the folder asks no more
                    path.unlink(missing_ok=True)
                lock.release()

    def _take(self, path: Path) -> FileLock | None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(path)
            with self._alone():
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            _log.debug("No process can be told to be alive in %s: %s", self.folder, error)
            return None
        return lock

    def is_held(self, name: str) -> bool | None:
        """Whether a living process holds `name`; None where no process ever did, or let go."""
        with self._probed() as held:
            return held.get(name)

    def lost(self) -> list[str]:
        """Names whose processes were all killed."""
        with self._probed() as held:
            return sorted(name for name, is_held in held.items() if not is_held)

    def clear(self, action: Callable[[str], None]) -> None:
        """Call `action` with each lost name, then forget the name; one process at a time.

        What `action` raises is passed on; the name is kept then.
        """
        with self._probed() as held:
            for name, is_held in held.items():
                if not is_held:
                    action(name)
                    for path in self.folder.glob(f"{name}.*.lock"):
                        path.unlink(missing_ok=True)

    @contextmanager
    def _probed(self) -> Iterator[dict[str, bool]]:
        """Whether each name is held, which cannot change while the block runs."""
        if not any(self.folder.glob("*.*.lock")):
            yield {}  # and no file is made for having asked
            return
        with self._alone():  # a probe locks what it finds free
            held: dict[str, bool] = {}
            for path in self.folder.glob("*.*.lock"):
                name = path.name.split(".")[0]
                held[name] = held.get(name, False) or _is_locked(path)
            yield held

    def _alone(self) -> AbstractContextManager[object]:
        """Keep others from taking, leaving and probing: a file is made before it is locked."""
        return _lock(self.folder / "all.lock")


def _lock(path: Path) -> FileLock:
    return FileLock(path, thread_local=False)  # a generator may be closed by another thread


def _is_locked(path: Path) -> bool:
    try:
        with _lock(path).acquire(timeout=0):
            return False
    except (Timeout, OSError):  # what may not be opened, such as another user's, counts as alive
        return True
