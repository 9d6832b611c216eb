from pathlib import Path

import numpy as np

from tiger_pipeline.catalog.readers.source import read_source
from tiger_pipeline_tests.catalog.writing import ITEMS, PLAIN, source, write


def test_timestamps_and_ratings(tmp_path: Path) -> None:
    raw = read_source(source(write(tmp_path, PLAIN)), tmp_path)
    assert raw.items.to_dict("list") == {
        "item_id": ["a", "b", "c"],
        "title": ["Red polish", "Serum", "Soap"],
        "brand": ["OPI", "", "Dove"],
    }
    assert raw.interactions["user_id"].tolist() == list("uuuvv")
    assert raw.interactions["item_id"].tolist() == list("abcca")
    assert raw.interactions["timestamp"].dtype == np.int64
    ratings = raw.interactions["rating"].tolist()
    assert ratings[:4] == [5, 4, 1, 3]
    assert np.isnan(ratings[4])


def test_order_sorts_each_user_and_replaces_timestamps(tmp_path: Path) -> None:
    interactions = "user_id\titem_id\torder\nv\ta\t1\nu\tb\t7\nv\tc\t0\nu\ta\t-2\n"
    raw = read_source(
        source(write(tmp_path, {"items.tsv": ITEMS, "interactions.tsv": interactions})), tmp_path
    )
    assert list(raw.interactions.columns) == ["user_id", "item_id"]
    assert raw.interactions.to_numpy().tolist() == [["v", "c"], ["v", "a"], ["u", "a"], ["u", "b"]]


def test_order_breaks_ties_of_timestamps(tmp_path: Path) -> None:
    interactions = "user_id\titem_id\torder\ttimestamp\nu\ta\t1\t5\nu\tb\t0\t5\nu\tc\t2\t6\n"
    raw = read_source(
        source(write(tmp_path, {"items.tsv": ITEMS, "interactions.tsv": interactions})), tmp_path
    )
    assert raw.interactions["item_id"].tolist() == ["b", "a", "c"]


def test_fractional_timestamps_and_other_file_names(tmp_path: Path) -> None:
    files = {"shop.tsv": ITEMS, "log.tsv": "user_id\titem_id\ttimestamp\nu\ta\t1.5\nu\tb\t1\n"}
    settings = source(write(tmp_path, files), items="shop.tsv", interactions="log.tsv")
    assert read_source(settings, tmp_path).interactions["timestamp"].tolist() == [1.5, 1.0]
