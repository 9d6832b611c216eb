from pathlib import Path

import pytest

from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.catalog.readers.source import read_source
from tiger_pipeline.errors import InputError
from tiger_pipeline_tests.catalog.writing import (
    amazon2014,
    amazon2018,
    amazon2023,
    data,
    source,
    write,
)


def read(tmp_path: Path, layout: str, files: dict[str, str | bytes]) -> RawCatalog:
    return read_source(source(write(tmp_path, files), layout), tmp_path)


def test_2014_reviews_and_literal_metadata(tmp_path: Path) -> None:
    raw = read(tmp_path, "amazon2014", amazon2014())
    assert raw.items.to_dict("list") == {
        "item_id": ["A", "B", "X"],
        "title": ["L'Oréal & Co", "", ""],
        "brand": ["OPI", "", ""],
        "categories": ["Beauty > Nails | Gifts", "Beauty", ""],
        "description": ["", "Two\nlines", ""],
        "price": ["3.99", "", ""],
    }
    assert raw.unlisted_items == 1
    assert raw.interactions.to_numpy().tolist() == [
        ["U1", "A", 1000, 5.0],
        ["U1", "B", 2000, 4.0],
        ["U1", "X", 2000, 3.0],
        ["U2", "A", 5, 1.0],
    ]


def test_2014_ratings_without_header(tmp_path: Path) -> None:
    files = {name: text for name, text in amazon2014().items() if name.startswith("meta")}
    files["ratings_Beauty.csv"] = "U1,A,5.0,1000\nU1,B,4.0,2000\n"
    raw = read(tmp_path, "amazon2014", files)
    assert raw.interactions["rating"].tolist() == [5, 4]
    assert raw.interactions["timestamp"].tolist() == [1000, 2000]


def test_metadata_is_data_and_never_code(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    files = amazon2014()
    files["meta_Beauty.json.gz"] = f"{{'asin': open({str(trap)!r}, 'w').name}}\n"
    with pytest.raises(InputError, match=r"meta_Beauty\.json\.gz, line 1 is not a valid record"):
        read(tmp_path, "amazon2014", files)
    assert not trap.exists()


def test_2018_first_line_of_a_repeated_item_counts(tmp_path: Path) -> None:
    raw = read(tmp_path, "amazon2018", amazon2018())
    assert raw.items["item_id"].tolist() == ["A", "B"]
    assert raw.items["title"].tolist() == ["Red", ""]
    assert raw.items["categories"].tolist() == ["Beauty > Nails & Co", ""]
    assert raw.items["description"].tolist() == ["", "one two"]
    assert raw.unlisted_items == 0


def test_2023_parents_brands_and_milliseconds(tmp_path: Path) -> None:
    raw = read(tmp_path, "amazon2023", amazon2023())
    assert raw.items["item_id"].tolist() == ["P", "Q"]
    assert raw.items["brand"].tolist() == ["OPI", ""]
    assert raw.items["main_category"].tolist() == ["All Beauty", ""]
    assert raw.items["features"].tolist() == ["", "a b"]
    assert raw.interactions["timestamp"].tolist() == [1588615855.070, 1588615855.069]


def test_items_that_metadata_lacks_stay_with_empty_fields_and_are_counted(tmp_path: Path) -> None:
    folder = write(tmp_path, amazon2014())
    catalog = build_catalog(data(folder, "amazon2014"), tmp_path)
    assert catalog.counts.unlisted_items == 1
    assert catalog.counts.items_without_text == 1
    assert catalog.items["item_id"].to_pylist() == ["A", "B", "X"]
    # The equal times of B and X keep the file's order.
    assert catalog.interactions["item_id"].to_pylist() == ["A", "B", "X", "A"]
    assert catalog.counts.tied_interactions == 2
