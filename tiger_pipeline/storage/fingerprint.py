"""Short content hashes that tell whether two artifacts, arrays or settings are the same."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_HEX_DIGITS = 16


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
    sink = pa.BufferOutputStream()
    combined = table.replace_schema_metadata(None).combine_chunks()
    with pa.ipc.new_stream(sink, combined.schema) as writer:
        writer.write_table(combined)
    digest.update(sink.getvalue())
    return _shorten(digest)


def fingerprint_files(paths: "list[Path]") -> str:
    """Fingerprint of the bytes of several files, in the given order, read in blocks."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return _shorten(digest)
