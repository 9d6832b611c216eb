"""How a worker process tells whoever started it the one message that a user needs.

A launcher such as `torchrun` only knows the exit status of its processes, and ends all of them as
soon as one fails. So the message is in a file before the process that failed ends.
"""

import os
import sys
from pathlib import Path

from tiger_pipeline.errors import TigerError
from tiger_pipeline.storage.atomic import atomic_file

ERROR_FILE_VARIABLE = "TIGER_ERROR_FILE"
"""Environment variable with the path of the file."""


def leave_error(error: TigerError) -> None:
    """Write the message of `error` where the starter asked for it, and to standard error."""
    if path := os.environ.get(ERROR_FILE_VARIABLE):
        with atomic_file(Path(path)) as scratch:
            scratch.write_text(str(error), encoding="utf-8")
    sys.stderr.write(f"tiger: {error}\n")


def find_error(path: Path) -> TigerError | None:
    """The error that a worker left in the file at `path`, if one did."""
    return TigerError(path.read_text(encoding="utf-8")) if path.exists() else None
