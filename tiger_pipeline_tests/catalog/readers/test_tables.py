import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiger_pipeline.catalog.readers.source import read_source
from tiger_pipeline_tests.catalog.writing import source, write

COLUMNS = {
    "user_id": "customer",
    "item_id": "product",
    "item_id_in_items": "id",
    "timestamp": "at",
    "rating": "stars",
}


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv"])
def test_delimited_tables_with_a_mapping(tmp_path: Path, ending: str) -> None:
    comma = "," if "csv" in ending else "\t"
    items = 'id,name,blurb\n7,"Big, red",x\n8,,"a ""b"""\n'
    interactions = "stars,at,product,customer\n5,10,7,u\n,11,8,u\n"
    quoted = items.replace("Big, red", "Big; red")
    files = {
        f"items.{ending}": quoted.replace(",", comma).replace(";", ","),
        f"interactions.{ending}": interactions.replace(",", comma),
    }
    settings = source(write(tmp_path, files), "tables", columns=COLUMNS, fields={"title": "name"})
    raw = read_source(settings, tmp_path)
    assert raw.items.to_dict("list") == {"item_id": ["7", "8"], "title": ["Big, red", ""]}
    assert raw.interactions["item_id"].tolist() == ["7", "8"]
    assert raw.interactions["timestamp"].tolist() == [10, 11]
    assert raw.interactions["rating"].isna().tolist() == [False, True]


def write_parquet(folder: Path, items: dict, interactions: dict) -> None:
    pq.write_table(pa.table(items), folder / "items.parquet")
    pq.write_table(pa.table(interactions), folder / "interactions.parquet")


def test_parquet_types(tmp_path: Path) -> None:
    noon = datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.timezone.utc)
    write_parquet(
        tmp_path,
        {
            "item_id": pa.array([7, 8], pa.int32()),
            "Title": ["Red", None],
            "path": [["Beauty", None, "Nails"], None],
            "price": [1.5, None],
            "brand": pa.array(["OPI", "OPI"]).dictionary_encode(),
            "vector": [[0.1], [0.2]],
        },
        {
            "user_id": ["u", "u"],
            "item_id": pa.array([8, 7], pa.int64()),
            "timestamp": pa.array([noon, noon], pa.timestamp("ms", "UTC")),
        },
    )
    raw = read_source(source(tmp_path, "tables"), tmp_path)
    assert raw.items.to_dict("list") == {
        "item_id": ["7", "8"],
        "title": ["Red", ""],
        "path": ["Beauty > Nails", ""],
        "price": ["1.5", ""],
        "brand": ["OPI", "OPI"],
    }
    assert raw.interactions["item_id"].tolist() == ["8", "7"]
    assert raw.interactions["timestamp"].tolist() == [noon.timestamp()] * 2


def test_rows_in_order_of_time(tmp_path: Path) -> None:
    write_parquet(
        tmp_path,
        {"item_id": ["a", "b"]},
        {"user_id": ["u", "u"], "item_id": ["b", "a"], "timestamp": ["soon", "later"]},
    )
    settings = source(tmp_path, "tables", columns={"timestamp": None})
    raw = read_source(settings, tmp_path)
    assert list(raw.interactions.columns) == ["user_id", "item_id"]


def test_large_integer_timestamps_stay_exact(tmp_path: Path) -> None:
    times = [2**62 + 1, 2**62]
    write_parquet(
        tmp_path,
        {"item_id": ["a", "b"]},
        {"user_id": ["u", "u"], "item_id": ["b", "a"], "timestamp": times},
    )
    raw = read_source(source(tmp_path, "tables"), tmp_path)
    assert raw.interactions["timestamp"].tolist() == times
