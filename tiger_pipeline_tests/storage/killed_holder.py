"""A process that holds a name until it is killed.

python -m tiger_pipeline_tests.storage.killed_holder FOLDER NAME
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiger_pipeline.storage.process_locks import ProcessLocks


@contextmanager
def holder(locks: ProcessLocks, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds `name`; it is killed, as `kill -9` does, when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(locks.folder), name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def leave_lock(locks: ProcessLocks, name: str) -> None:
    """What a process leaves that was killed while it held `name`."""
    with holder(locks, name):
        pass


if __name__ == "__main__":
    with ProcessLocks(Path(sys.argv[1])).hold(sys.argv[2]):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        time.sleep(600)
