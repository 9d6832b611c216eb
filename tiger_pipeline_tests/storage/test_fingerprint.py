from pathlib import Path

import numpy as np
import pyarrow as pa

from tiger_pipeline.storage.fingerprint import (
    fingerprint_array,
    fingerprint_files,
    fingerprint_json,
    fingerprint_table,
)
from tiger_pipeline.storage.tables import with_metadata


def test_json_ignores_the_order_of_keys_but_no_value():
    assert fingerprint_json({"a": 1, "b": [2]}) == fingerprint_json({"b": [2], "a": 1})
    assert fingerprint_json({"a": 1}) != fingerprint_json({"a": 2})


def test_arrays_differ_by_value_shape_and_type():
    base = np.arange(6, dtype=np.int32)
    assert fingerprint_array(base) == fingerprint_array(base.copy())
    others = [base + 1, base.reshape(2, 3), base.astype(np.int64)]
    assert len({fingerprint_array(array) for array in [base, *others]}) == 4


def test_a_strided_view_counts_as_its_values():
    base = np.arange(12).reshape(3, 4)
    assert fingerprint_array(base[:, ::2]) == fingerprint_array(base[:, ::2].copy())


def test_tables_ignore_chunks_and_metadata():
    whole = pa.table({"x": [1, 2, 3], "s": ["a", None, "c"]})
    chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert fingerprint_table(whole) == fingerprint_table(with_metadata(chunked, {"note": 1}))
    assert fingerprint_table(whole) != fingerprint_table(whole.rename_columns(["y", "s"]))
    assert fingerprint_table(whole) != fingerprint_table(whole.slice(0, 2))


def test_files_differ_by_content(tmp_path: Path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1" * 3_000_000)
    second.write_bytes(b"2")
    before = fingerprint_files([first, second])
    assert before == fingerprint_files([first, second])
    second.write_bytes(b"3")
    assert before != fingerprint_files([first, second])
