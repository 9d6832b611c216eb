"""Tables between assets, in a folder and in a bucket, through real materializations."""

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from tiger_pipeline.orchestration.io_managers import ParquetIOManager
from tiger_pipeline.orchestration.resources import StoreResource
from tiger_pipeline.storage.tables import read_table

PARTITIONS = dg.StaticPartitionsDefinition(["demo"])


@dg.asset(partitions_def=PARTITIONS, io_manager_key="tables")
def numbers():
    return pa.table({"n": [1, 2, 3]})


@dg.asset(partitions_def=PARTITIONS, io_manager_key="tables")
def squares(numbers):
    return pa.table({"n": [n * n for n in numbers["n"].to_pylist()]})


def materialize(root: str, assets: list[dg.AssetsDefinition]) -> dg.ExecuteInProcessResult:
    tables = ParquetIOManager(store=StoreResource(root=root))
    return dg.materialize(
        [numbers, squares],
        selection=[asset.key for asset in assets],
        partition_key="demo",
        resources={"tables": tables},
    )


def shown_path(result: dg.ExecuteInProcessResult, asset: str) -> object:
    (materialization,) = result.asset_materializations_for_node(asset)
    return materialization.metadata["path"].value


def test_tables_are_files_of_a_folder(tmp_path: Path):
    result = materialize(str(tmp_path), [numbers, squares])
    assert shown_path(result, "squares") == str(tmp_path / "squares" / "demo.parquet")
    assert read_table(tmp_path / "squares" / "demo.parquet")["n"].to_pylist() == [1, 4, 9]
    assert {path.name for path in tmp_path.iterdir()} == {"numbers", "squares"}


def test_another_machine_loads_tables_from_the_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = "memory://io-manager/prefix"
    monkeypatch.setenv("TIGER_CACHE", str(tmp_path / "here"))
    materialize(url, [numbers])
    monkeypatch.setenv("TIGER_CACHE", str(tmp_path / "there"))
    result = materialize(url, [squares])
    assert shown_path(result, "squares") == f"{url}/squares/demo.parquet"
    monkeypatch.setenv("TIGER_CACHE", str(tmp_path / "elsewhere"))
    store = StoreResource(root=url).open()
    found = read_table(store.fetch(store.table("squares", "demo")))
    assert found["n"].to_pylist() == [1, 4, 9]
