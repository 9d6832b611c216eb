from pathlib import Path

import pandas as pd

from tiger_pipeline.catalog.readers.source import read_source
from tiger_pipeline_tests.catalog.writing import FREEREC, source, write


def test_the_studys_layout(tmp_path: Path) -> None:
    raw = read_source(source(write(tmp_path, FREEREC), "freerec"), tmp_path)
    assert raw.items.to_dict("list") == {
        "item_id": ["0", "1", "2"],
        "title": ["Red", 'The "Best"', "C"],
        "categories": ["Nails", "", "D"],
        "brand": ["OPI", "", "E"],
    }
    assert raw.interactions["split"].tolist() == ["train"] * 3 + ["valid", "test"]
    assert raw.interactions["user_id"].tolist() == list("00100")
    assert raw.interactions["timestamp"].tolist() == [10, 11, 3, 12, 13]
    assert raw.interactions["rating"].tolist() == [5, 5, 4, 5, 1]


def test_lower_case_headers_without_timestamp_and_rating(tmp_path: Path) -> None:
    files = {
        "item.txt": "item\ttitle\na\tA\nb\tB\nc\tC\n",
        "train.txt": "user\titem\nu\ta\n",
        "valid.txt": "user\titem\nu\tb\n",
        "test.txt": "user\titem\nu\tc\n",
    }
    raw = read_source(source(write(tmp_path, files), "freerec"), tmp_path)
    assert list(raw.items.columns) == ["item_id", "title"]
    assert list(raw.interactions.columns) == ["user_id", "item_id", "split"]


def test_files_as_pandas_writes_them(tmp_path: Path) -> None:
    """The layout's files come from `to_csv(sep="\\t", index=False)`: cells may hold line ends."""
    title = 'Two\nlines\tand "quotes"'
    write(tmp_path, FREEREC)
    pd.DataFrame({"ITEM": [0, 1, 2], "TITLE": [title, None, "x"]}).to_csv(
        tmp_path / "item.txt", sep="\t", index=False
    )
    raw = read_source(source(tmp_path, "freerec"), tmp_path)
    assert raw.items["title"].tolist() == [title, "", "x"]
