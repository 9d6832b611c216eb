"""Short content hashes that tell whether two artifacts, arrays or settings are the same."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiger_pipeline.storage.mapped import release_read_pages

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_HEX_DIGITS = 16
_BYTES_PER_BLOCK = 2**24


def _shorten(digest: "hashlib._Hash") -> str:
    return digest.hexdigest()[:_HEX_DIGITS]


def fingerprint_json(value: Any) -> str:
    """Fingerprint of a JSON-like value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return _shorten(hashlib.sha256(text.encode()))


def fingerprint_array(array: "np.ndarray") -> str:
    """Fingerprint of an array's dtype, shape and values."""
    import numpy as np

    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return _shorten(digest)


def fingerprint_table(table: "pa.Table") -> str:
    """Fingerprint of a table's column names, types and rows, not of its chunks or metadata."""
    import pyarrow as pa

    digest = hashlib.sha256(str(table.schema.remove_metadata()).encode())
    combined = table.replace_schema_metadata(None).combine_chunks()
    sink = pa.PythonFile(_HashedStream(digest), mode="w")
    with pa.ipc.new_stream(sink, combined.schema) as writer:
        writer.write_table(combined)
    return _shorten(digest)


class _HashedStream:
    """A file whose bytes go into a digest and nowhere else, those of mapped vectors by blocks."""

    closed = False

    def __init__(self, digest: "hashlib._Hash") -> None:
        self._digest = digest

    def write(self, data: "bytes | pa.Buffer") -> int:
        view = memoryview(data)
        for start in range(0, len(view), _BYTES_PER_BLOCK):
            self._digest.update(view[start : start + _BYTES_PER_BLOCK])
            release_read_pages()
        return len(view)


def fingerprint_files(paths: "list[Path]") -> str:
    """Fingerprint of the bytes of several files, in the given order, read in blocks."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return _shorten(digest)
