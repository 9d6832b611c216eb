"""Opening plain and gzip-compressed files, with errors that name the file."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from tiger_pipeline.errors import InputError


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading; one whose name ends in `.gz` is decompressed on the way."""
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return open(path, "rb")


@contextmanager
def open_errors(path: Path) -> Iterator[None]:
    """Turn what opening and reading `path` may raise into an InputError."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is not a complete gzip file ({error}). Download or copy it again."
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
