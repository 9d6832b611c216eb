from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.tables import metadata_of, read_table, with_metadata, write_table


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.text(max_size=5), st.integers(-9, 9) | st.none()), max_size=20),
    metadata=st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows, metadata):
    path = tmp_path_factory.mktemp("tables") / "table.parquet"
    table = pa.table(
        {
            "name": pa.array([name for name, _ in rows], pa.string()),
            "number": pa.array([number for _, number in rows], pa.int32()),
        }
    )
    write_table(path, with_metadata(table, metadata))
    read = read_table(path)
    assert read.equals(table)
    assert metadata_of(read) == metadata


def test_a_missing_file_says_what_to_materialize(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"items\.parquet does not exist.*Materialize"):
        read_table(tmp_path / "items.parquet")


def test_a_truncated_file_is_named(tmp_path: Path):
    path = tmp_path / "items.parquet"
    write_table(path, pa.table({"x": list(range(1000))}))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ArtifactError, match=r"items\.parquet is not a readable parquet file"):
        read_table(path)


def test_a_missing_column_is_named(tmp_path: Path):
    path = tmp_path / "items.parquet"
    write_table(path, pa.table({"x": [1]}))
    with pytest.raises(ArtifactError, match=r"no column 'y' \(it has x\)"):
        read_table(path, columns=["y"])
