from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.fingerprint import fingerprint_table
from tiger_pipeline.storage.tables import with_metadata, write_table
from tiger_pipeline.storage.vector_columns import read_columns, rows_per_group, take_rows


def embeddings(n_rows: int, dimension: int = 3) -> pa.Table:
    vectors = np.random.default_rng(n_rows).standard_normal(n_rows * dimension, dtype=np.float32)
    table = pa.table(
        {
            "item_id": [f"i{row}" for row in range(n_rows)],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors), dimension),
            "text_hash": [f"{row:04x}" for row in range(n_rows)],
        }
    )
    return with_metadata(table, {"dimension": dimension})


@given(n_rows=st.integers(1, 40), group=st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_a_mapped_column_is_read_as_any_other(tmp_path_factory, n_rows, group):
    path = tmp_path_factory.mktemp("tables") / "embeddings.parquet"
    table = embeddings(n_rows)
    pq.write_table(table, path, row_group_size=group)
    mapped, read = read_columns(path, None, mapped_from_bytes=1), pq.read_table(path)
    assert mapped.equals(read, check_metadata=True)
    assert mapped["embedding"].num_chunks == 1
    assert fingerprint_table(mapped) == fingerprint_table(read)


def test_columns_come_in_the_order_that_is_asked_for(tmp_path: Path):
    path = tmp_path / "embeddings.parquet"
    write_table(path, embeddings(5))
    wanted = ["text_hash", "embedding"]
    assert read_columns(path, wanted, mapped_from_bytes=1).column_names == wanted
    without = read_columns(path, ["item_id"], mapped_from_bytes=1)
    assert without.equals(embeddings(5).select(["item_id"]))


def test_a_null_vector_is_named(tmp_path: Path):
    path = tmp_path / "embeddings.parquet"
    vectors = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    write_table(path, pa.table({"embedding": vectors}))
    with pytest.raises(ArtifactError, match=r"'embedding' of .*embeddings\.parquet"):
        read_columns(path, None, mapped_from_bytes=1)


@given(rows=st.lists(st.integers(0, 19), max_size=30))
@settings(max_examples=15, deadline=None)
def test_taking_rows_of_a_mapped_column_is_taking_rows(rows):
    table = embeddings(20)
    chosen = np.array(rows, dtype=np.int64)
    taken = take_rows(table, chosen, mapped_from_bytes=1)
    assert taken.equals(table.take(pa.array(chosen)), check_metadata=True)


def test_taking_all_rows_copies_nothing():
    table = embeddings(20)
    assert take_rows(table, np.arange(20)) is table


def test_a_row_group_holds_a_bounded_number_of_bytes():
    assert rows_per_group(embeddings(100)) == 2**20
    wide = embeddings(10, dimension=2**18)
    assert rows_per_group(wide) == 16384
