"""Matrices of vectors that need not fit in the memory: mapped from a nameless scratch file.

A mapped matrix is read page by page as it is used, and the kernel may drop its pages whenever
memory is short. Until it does they count as the process's own, so whoever goes through a matrix
block by block lets go of what was read (`release_read_pages`): then the peak is that of a block.
"""

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tiger_pipeline.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np

MAPPED_FROM_BYTES = 2**26
"""Vectors that take less are simply read: they fit anywhere."""

ROWS_PER_BLOCK = 16384
"""Rows handled at once; bounds the memory of every pass over vectors."""

_LARGE_FILES = Path("/var/tmp")
"""On a disk, by the Filesystem Hierarchy Standard; /tmp is memory on some systems."""

_mappings: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()


def mapped_matrix(blocks: "Iterable[np.ndarray]", n_rows: int, dimension: int) -> "np.ndarray":
    """Write blocks of rows one after the other, and map what was written.

    The file is in `TMPDIR`, else in /var/tmp, and has no name: its space is free again as soon as
    the matrix is gone, however the process ends.

    Args:
        blocks: float32[m, dimension] each, `n_rows` rows in all.
        n_rows: at least 1.
        dimension: at least 1.

    Returns:
        float32[n_rows, dimension], read-only.

    Raises:
        ArtifactError: the file cannot be written, such as for want of space.
    """
    import numpy as np

    folder = _scratch_folder()
    with _explained(folder), tempfile.TemporaryFile(dir=folder, prefix="tiger-vectors-") as file:
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype=np.float32).data)
        file.flush()
        matrix = np.memmap(file, np.float32, mode="r", shape=(n_rows, dimension))
    _mappings.add(matrix._mmap)  # type: ignore[attr-defined]  # the only way to its advice
    return matrix.view(np.ndarray)


def release_read_pages() -> None:
    """Let go of the pages of all mapped matrices; what is used again is read again.

    They stay in the kernel's cache of the file as long as there is memory for it.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    for mapping in list(_mappings):
        # Shared and read-only, so nothing is lost with the pages.
        mapping.madvise(mmap.MADV_DONTNEED)


@contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"Could not write vectors to a scratch file in {folder}: {error.strerror or error}. "
            "Free some space, or point TMPDIR at another disk, and run again."
        ) from error


def vector_blocks(vectors: "np.ndarray") -> "Iterator[tuple[slice, np.ndarray]]":
    """The rows of `vectors` (float32[n, d]) in blocks, with their places, for one pass over all.

    Of a mapped matrix no more than a block stays in the memory.
    """
    for start in range(0, len(vectors), ROWS_PER_BLOCK):
        rows = slice(start, min(start + ROWS_PER_BLOCK, len(vectors)))
        yield rows, vectors[rows]
        release_read_pages()


def _scratch_folder() -> str:
    if "TMPDIR" not in os.environ and os.access(_LARGE_FILES, os.W_OK):
        return str(_LARGE_FILES)
    return tempfile.gettempdir()
