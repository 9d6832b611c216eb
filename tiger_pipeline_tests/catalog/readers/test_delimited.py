import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.readers.delimited import read_delimited
from tiger_pipeline.errors import InputError


def test_quotes_are_ordinary_characters_without_quoting(tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_text('item_id\ttitle\na\t"6" ruler\n')
    assert read_delimited(path, "\t", quoting=False).frame["title"].tolist() == ['"6" ruler']


def test_byte_order_mark_windows_line_ends_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_bytes(b"\xef\xbb\xbfitem_id\ttitle\r\n\r\na\tA\r\n\r\nb\t\r\n\r\n")
    table = read_delimited(path, "\t", quoting=False)
    assert table.frame.to_dict("list") == {"item_id": ["a", "b"], "title": ["A", ""]}
    assert table.rows.tolist() == [3, 5]
    assert table.place(1) == f"{path}, row 5"


def test_the_number_of_a_broken_row_counts_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_text("item_id\ttitle\na\tA\n\nb\n")
    with pytest.raises(InputError, match="row 4: 1 cells where 2 are expected"):
        read_delimited(path, "\t", quoting=False)


def test_values_that_look_like_something_else_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n007,NA,1e3\nnull,NaN,true\n")
    frame = read_delimited(path, ",", quoting=True).frame
    assert frame.to_numpy().tolist() == [["007", "NA", "1e3"], ["null", "NaN", "true"]]


def test_a_long_cell(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "x" * 3_000_000 + ",y\n")
    assert len(read_delimited(path, ",", quoting=True).frame["a"].iloc[0]) == 3_000_000


CELL = st.text(alphabet='ab,"\n é漢', max_size=4)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_pythons_csv_writes_is_read_back(tmp_path_factory, rows, compressed) -> None:
    path = tmp_path_factory.mktemp("csv") / ("x.csv.gz" if compressed else "x.csv")
    opened = gzip.open if compressed else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("a", "b"), *rows])
    frame = read_delimited(path, ",", quoting=True).frame
    not_blank = [row for row in rows if row != ("", "")]
    assert list(frame.itertuples(index=False, name=None)) == not_blank
