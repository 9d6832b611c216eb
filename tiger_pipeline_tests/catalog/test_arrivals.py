import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiger_pipeline.catalog.arrivals import Arrivals, read_arrivals
from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.catalog.config import DataConfig, IncomingConfig, SourceConfig, TextConfig
from tiger_pipeline.catalog.incoming_files import find_incoming, is_temporary
from tiger_pipeline.catalog.rejected import write_rejected
from tiger_pipeline.catalog.source_state import source_state

NOW = 1_000_000.0
FIELDS = ["title", "brand"]


def config(source: str = "plain", **of_source: object) -> DataConfig:
    return DataConfig(
        source=SourceConfig(format=source, path=".", **of_source),
        text=TextConfig(fields=("title", "brand")),
        incoming=IncomingConfig(settle_seconds=10),
    )


def drop(folder: Path, name: str, content: "bytes | str", age: float = 60) -> Path:
    path = folder / "incoming" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (NOW - age,) * 2)
    return path


def arrivals(folder: Path, settings: "DataConfig | None" = None) -> Arrivals:
    return read_arrivals(settings or config(), folder, FIELDS, NOW)


def reasons(found: Arrivals) -> list[tuple[int | None, str]]:
    return [(row.row, row.reason) for row in found.rejected]


def test_no_folder_is_no_arrival(tmp_path: Path):
    found = arrivals(tmp_path)
    assert (found.items, found.rejected, found.files) == ({}, [], ())


@pytest.mark.parametrize(
    "name", [".x.tsv", "_x.tsv", "x.tsv.part", "x.tsv~", "x.TMP", "x.csv.crdownload"]
)
def test_temporary_names_are_left_alone(name: str):
    assert is_temporary(name)
    assert not is_temporary("2026-03-01.tsv")


def test_a_file_that_still_changes_waits(tmp_path: Path):
    done = drop(tmp_path, "a.tsv", "item_id\ttitle\tbrand\na\tRed\t\n", age=10)
    growing = drop(tmp_path, "b.tsv", "item_id\ttitle\tbrand\nb\tBl", age=9)
    drop(tmp_path, ".c.tsv", "")
    (tmp_path / "incoming" / "rejected").mkdir()
    found = find_incoming(tmp_path / "incoming", 10, NOW)
    assert (found.complete, found.unsettled) == ((done,), (growing,))
    assert list(arrivals(tmp_path).items) == ["a"]
    assert arrivals(tmp_path).waiting == ("b.tsv",)


RED = {"a": {"title": "Red", "brand": ""}, "b": {"title": 'Blue 8" hoop', "brand": "OPI"}}
TSV = 'item_id\ttitle\tbrand\na\tRed\t\nb\tBlue 8" hoop\tOPI\n'
CSV = 'Item_ID,Title,Brand\na,Red,\nb,"Blue 8"" hoop",OPI\n'
JSON = '{"item_id": "a", "title": "Red"}\n\n' + json.dumps({"item_id": "b", **RED["b"]})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", TSV),
        ("x.tsv.gz", gzip.compress(TSV.encode(), mtime=0)),
        ("x.csv", CSV),
        ("x.csv", "\ufeff" + CSV),
        ("x.jsonl", JSON),
        ("x.json.gz", gzip.compress(JSON.encode(), mtime=0)),
    ],
)
def test_every_format_gives_the_same_items(tmp_path: Path, name: str, content: "bytes | str"):
    drop(tmp_path, name, content)
    assert arrivals(tmp_path).items == RED
    assert arrivals(tmp_path).rejected == []


def test_parquet(tmp_path: Path):
    rows = {"item_id": [1, 2], "title": ["Red", None], "brand": [["A", "B"], []]}
    path = drop(tmp_path, "x.parquet", "")
    pq.write_table(pa.table(rows), path)
    os.utime(path, (0, 0))
    found = arrivals(tmp_path)
    assert found.items == {"1": {"title": "Red", "brand": "A > B"}}
    assert reasons(found) == [(2, "it has no text: title, brand are empty")]


def test_text_in_parquet_that_is_not_utf8(tmp_path: Path):
    broken = pa.array([b"Red \xff", b"Blue"], pa.binary()).view(pa.string())
    path = drop(tmp_path, "x.parquet", "")
    pq.write_table(pa.table({"item_id": ["a", "b"], "title": broken, "brand": ["", ""]}), path)
    os.utime(path, (0, 0))
    assert list(arrivals(tmp_path).items) == ["b"]
    assert reasons(arrivals(tmp_path)) == [(1, "its 'title' is not UTF-8")]


def test_columns_are_those_of_the_source(tmp_path: Path):
    drop(tmp_path, "x.tsv", 'sku\tname\tbrand\na\t"Red\tdeep"\t\n')
    settings = config("tables", fields={"title": "name"}, columns={"item_id": "sku"})
    assert arrivals(tmp_path, settings).items["a"]["title"] == "Red\tdeep"


def test_broken_rows_are_set_aside_and_the_others_go_on(tmp_path: Path):
    lines = [
        b"item_id\ttitle\tbrand",
        b"a\tRed\t",
        b"\tno id\t",
        b"b\tBlue \xff\t",
        b"c\t \t",
        b"d\tx",
    ]
    lines += [b"a\tagain\t", b"e\tGreen\t"]
    drop(tmp_path, "x.tsv", b"\n".join(lines))
    drop(
        tmp_path,
        "y.jsonl",
        '{"item_id": "f", "title": {}}\n{"item_id"\n[1]\n{"item_id": "g", "title": "G"}',
    )
    drop(tmp_path, "z.tsv", "item_id\tname\nh\tno title\n")
    drop(tmp_path, "z.txt", "hello")
    found = arrivals(tmp_path)
    assert list(found.items) == ["a", "e", "g"]
    assert found.items["a"]["title"] == "Red"
    expected = [
        *((3, "id is missing"), (4, "not UTF-8"), (5, "no text"), (6, "2 cells where 3")),
        *((7, "row 2 lists it first"), (1, "'title' is not text"), (2, "not valid JSON")),
        *(
            (3, "not a JSON object"),
            (None, "no column 'title'"),
            (None, "ending that is not known"),
        ),
    ]
    assert [row for row, _ in reasons(found)] == [row for row, _ in expected]
    for (_, reason), (_, part) in zip(reasons(found), expected, strict=True):
        assert part in reason


def test_rejected_rows_are_kept_as_they_stand_and_forgotten_once_mended(tmp_path: Path):
    path = drop(tmp_path, "x.tsv", b"item_id\ttitle\tbrand\nb\tBlue \xff\t\n")
    found = arrivals(tmp_path)
    (written,) = write_rejected(found.folder, found.rejected)
    assert written == path.parent / "rejected" / "x.tsv.jsonl"
    assert json.loads(written.read_text()) == {
        "file": "x.tsv", "row": 2, "item_id": None, "reason": "it is not UTF-8",
        "content": "b\tBlue \\xff\t",
    }  # fmt: skip
    assert write_rejected(found.folder, []) == []
    assert not written.exists()


def test_the_later_file_holds(tmp_path: Path):
    drop(tmp_path, "1.tsv", "item_id\ttitle\tbrand\na\tRed\t\nb\tBlue\t\n")
    drop(tmp_path, "2.tsv", "item_id\ttitle\tbrand\tis_withdrawn\na\tScarlet\t\t\nb\t\t\ttrue\n")
    found = arrivals(tmp_path)
    assert found.items["a"]["title"] == "Scarlet"
    assert found.withdrawn == {"b"}
    drop(tmp_path, "3.tsv", "item_id\ttitle\tbrand\nb\tBlue\t\n")
    assert arrivals(tmp_path).withdrawn == frozenset()
    drop(tmp_path, "4.tsv", "item_id\ttitle\tbrand\tis_withdrawn\nc\t\t\tperhaps\n")
    assert "neither true nor false" in arrivals(tmp_path).rejected[0].reason


def make_source(folder: Path) -> None:
    items = "item_id\ttitle\tbrand\nw\tWarm\t\nv\tWarmer\t\ns\tSleeping\t\n"
    (folder / "items.tsv").write_text(items)
    rows = [f"{user}\t{item}\t{time}" for user in "abc" for time, item in enumerate("wvw")]
    (folder / "interactions.tsv").write_text("\n".join(["user_id\titem_id\torder", *rows]))


def test_arrivals_join_the_catalog_behind_the_source(tmp_path: Path):
    make_source(tmp_path)
    settings = config().model_copy(update={"duplicates": "keep"})
    before = build_catalog(settings, tmp_path)
    drop(
        tmp_path,
        "x.tsv",
        "item_id\ttitle\tbrand\tis_withdrawn\nn\tNew\t\t\nv\tWarmest\t\t\nw\t\t\tyes\nq\tGone\t\t1\n",
    )
    after = build_catalog(settings, tmp_path)
    assert after.interactions.equals(before.interactions)
    assert after.items.to_pylist() == [
        {"item_id": "w", "title": "Warm", "brand": "", "n_interactions": 6, "is_withdrawn": True},
        {
            "item_id": "v",
            "title": "Warmest",
            "brand": "",
            "n_interactions": 3,
            "is_withdrawn": False,
        },
        {"item_id": "n", "title": "New", "brand": "", "n_interactions": 0, "is_withdrawn": False},
    ]


def test_the_state_of_a_source_follows_its_complete_files(tmp_path: Path):
    make_source(tmp_path)
    own = [tmp_path / "items.tsv", tmp_path / "interactions.tsv"]
    assert not source_state(config(), tmp_path, own[0].stat().st_mtime).source_settled
    for path in own:
        os.utime(path, (0, 0))
    first = source_state(config(), tmp_path, NOW)
    assert first.source_settled
    assert source_state(config(), tmp_path, NOW + 999).fingerprint == first.fingerprint
    drop(tmp_path, "x.tsv", "half", age=0)
    waiting = source_state(config(), tmp_path, NOW)
    assert (waiting.fingerprint, waiting.unsettled) == (first.fingerprint, ("x.tsv",))
    seen = {first.fingerprint, source_state(config(), tmp_path, NOW + 10).fingerprint}
    with open(own[0], "a") as items:
        items.write("t\tAppended\t\n")
    os.utime(own[0], (0, 0))
    seen.add(source_state(config(), tmp_path, NOW + 10).fingerprint)
    assert len(seen) == 3
