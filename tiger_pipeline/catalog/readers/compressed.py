"""Opening plain and gzip-compressed files, with errors that name the file."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from tiger_pipeline.errors import InputError

_LARGEST_GROWTH = 200
"""Times its size that a gzip file may grow to; text grows to 3 to 20 times, a bomb to 1000."""
_ALWAYS_ALLOWED = 256 << 20
"""Bytes that any gzip file may grow to."""
_BUFFER_BYTES = 1 << 17


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading; one whose name ends in `.gz` is decompressed on the way."""
    stored = path.open("rb")
    return decompressed(path, stored) if path.suffix == ".gz" else stored


def decompressed(path: Path, stored: BinaryIO) -> IO[bytes]:
    """The content of a gzip file, as it is read; closing it closes `stored`.

    Reading raises an InputError when it grows out of all proportion, even within one line.

    Args:
        path: of the file.
        stored: the file, open at its start.
    """
    return io.BufferedReader(_Decompressed(path, stored), _BUFFER_BYTES)


class _Decompressed(io.RawIOBase):
    def __init__(self, path: Path, stored: BinaryIO) -> None:
        self._path = path
        self._stored = stored
        self._gzip = gzip.GzipFile(fileobj=stored)
        self._limit = max(_ALWAYS_ALLOWED, _LARGEST_GROWTH * path.stat().st_size)
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = self._gzip.readinto(buffer)
        self._position += size
        if self._position > self._limit:
            raise InputError(
                f"{self._path} grows to more than {_LARGEST_GROWTH} times its size when it is "
                "decompressed: it is no ordinary data. If it is, decompress it yourself."
            )
        return size

    def close(self) -> None:
        self._gzip.close()
        self._stored.close()
        super().close()


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
