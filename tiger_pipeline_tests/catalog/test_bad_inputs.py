"""Bad inputs, one a case: each gets one clear error that names the file and the row or field."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.errors import TigerError
from tiger_pipeline_tests.catalog.writing import (
    FREEREC,
    INTERACTIONS,
    ITEMS,
    PLAIN,
    amazon2014,
    amazon2018,
    amazon2023,
    data,
    json_lines,
    write,
)

Files = dict[str, str | bytes]
LAYOUTS: dict[str, Callable[[], Files]] = {
    "plain": lambda: dict(PLAIN),
    "freerec": lambda: dict(FREEREC),
    "amazon2014": amazon2014,
    "amazon2018": amazon2018,
    "amazon2023": amazon2023,
    "tables": lambda: {
        "items.csv": ITEMS.replace("\t", ","),
        "interactions.csv": INTERACTIONS.replace("\t", ","),
    },
}
HEADER = "user_id\titem_id\ttimestamp\n"
ORDERED = "user_id\titem_id\torder\n"
FREEREC_HEADER = "USER\tITEM\tRATING\tTIMESTAMP\n"
REVIEW = {"reviewerID": "U", "asin": "A", "overall": 5, "unixReviewTime": 1}

CASES: list[tuple[str, str, Files, list[str]]] = [
    # what is wrong, layout, files replaced (None: removed), what the message names
    ("no items", "plain", {"items.tsv": None}, ["no items file", "items.tsv"]),
    ("no interactions", "plain", {"interactions.tsv": None}, ["interactions.tsv", "format"]),
    ("items: empty file", "plain", {"items.tsv": ""}, ["items.tsv is empty"]),
    ("items: only a header", "plain", {"items.tsv": "item_id\ttitle\n"}, ["items.tsv", "no items"]),
    ("interactions: only a header", "plain", {"interactions.tsv": HEADER},
     ["interactions.tsv", "no interactions"]),
    ("items: no item_id", "plain", {"items.tsv": "asin\ttitle\na\tA\n"},
     ["items.tsv", "no column 'item_id'", "asin, title"]),
    ("interactions: no user_id", "plain", {"interactions.tsv": "user\titem_id\torder\nu\ta\t0\n"},
     ["interactions.tsv", "no column 'user_id'"]),
    ("interactions: neither order nor timestamp", "plain",
     {"interactions.tsv": "user_id\titem_id\nu\ta\n"},
     ["interactions.tsv", "`order` or `timestamp`"]),
    ("items: duplicate id", "plain", {"items.tsv": ITEMS + "a\tAgain\t\n"},
     ["items.tsv, row 5", "'a'", "row 2"]),
    ("items: empty id", "plain", {"items.tsv": ITEMS + "\tNameless\t\n"},
     ["items.tsv, row 5", "item_id is empty"]),
    ("items: id of white space", "plain", {"items.tsv": ITEMS + "  \tBlank\t\n"},
     ["items.tsv, row 5", "item_id is empty"]),
    ("items: reserved field name", "plain",
     {"items.tsv": "item_id\tn_interactions\na\t3\n"}, ["items.tsv", "'n_interactions'"]),
    ("items: two fields that differ in case", "plain",
     {"items.tsv": "item_id\tTitle\ttitle\na\tx\ty\n"}, ["items.tsv", "'Title' and 'title'"]),
    ("items: a column twice", "plain", {"items.tsv": "item_id\ttitle\ttitle\na\tx\ty\n"},
     ["items.tsv", "'title' twice"]),
    ("interactions: empty user", "plain", {"interactions.tsv": HEADER + "u\ta\t1\n\tb\t2\n"},
     ["interactions.tsv, row 3", "user_id is empty"]),
    ("interactions: empty item", "plain", {"interactions.tsv": HEADER + "u\t\t1\n"},
     ["interactions.tsv, row 2", "item_id is empty"]),
    ("timestamp: text", "plain", {"interactions.tsv": HEADER + "u\ta\t2020-01-01\n"},
     ["interactions.tsv, row 2", "timestamp is '2020-01-01'"]),
    ("timestamp: empty", "plain", {"interactions.tsv": HEADER + "u\ta\t1\nu\tb\t\n"},
     ["interactions.tsv, row 3", "timestamp is ''"]),
    ("timestamp: not finite", "plain", {"interactions.tsv": HEADER + "u\ta\tinf\n"},
     ["interactions.tsv, row 2", "timestamp is 'inf'"]),
    ("rating: text", "plain", {"interactions.tsv": INTERACTIONS + "v\tb\t9\tgood\n"},
     ["interactions.tsv, row 7", "rating is 'good'"]),
    ("order: a fraction", "plain", {"interactions.tsv": ORDERED + "u\ta\t0\nu\tb\t0.5\n"},
     ["interactions.tsv, row 3", "0.5, not a whole number"]),
    ("order: twice", "plain", {"interactions.tsv": ORDERED + "u\ta\t1\nv\ta\t1\nu\tb\t1\n"},
     ["interactions.tsv, row 4", "user 'u'", "row 2"]),
    ("order against timestamp", "plain",
     {"interactions.tsv": "user_id\titem_id\torder\ttimestamp\nu\ta\t0\t9\nu\tb\t1\t8\n"},
     ["interactions.tsv, row 3", "earlier by its timestamp", "row 2"]),
    ("unknown item", "plain", {"interactions.tsv": INTERACTIONS + "v\tzz\t9\t\n"},
     ["interactions.tsv, row 7", "'zz'", "items.tsv"]),
    ("too few cells", "plain", {"items.tsv": ITEMS + "d\tD\n"},
     ["items.tsv, row 5", "2 cells where 3"]),
    ("too many cells", "plain", {"items.tsv": ITEMS + "d\tD\tx\ty\n"},
     ["items.tsv, row 5", "4 cells where 3"]),
    ("not UTF-8", "plain", {"items.tsv": ITEMS.encode() + b"d\tCr\xe8me\t\n"},
     ["items.tsv, line 5", "byte 5", "not UTF-8"]),
    ("header not UTF-8", "plain", {"items.tsv": b"item_id\tti\xfftle\n"},
     ["items.tsv, line 1", "not UTF-8"]),
    ("freerec: no test.txt", "freerec", {"test.txt": None}, ["test.txt"]),
    ("freerec: no ITEM", "freerec", {"train.txt": "USER\tASIN\n0\t0\n"},
     ["train.txt", "no column 'ITEM'"]),
    ("freerec: second test row of a user", "freerec",
     {"test.txt": FREEREC_HEADER + "0\t1\t1\t13\n0\t2\t1\t14\n"},
     ["test.txt, row 3", "user '0'", "row 2"]),
    ("freerec: second validation row", "freerec",
     {"valid.txt": FREEREC_HEADER + "0\t1\t1\t13\n0\t2\t1\t14\n"}, ["valid.txt, row 3"]),
    ("freerec: target without history", "freerec",
     {"test.txt": FREEREC_HEADER + "9\t1\t1\t13\n"}, ["test.txt, row 2", "'9'", "train.txt"]),
    ("freerec: unknown item", "freerec", {"valid.txt": FREEREC_HEADER + "0\t77\t1\t13\n"},
     ["valid.txt, row 2", "'77'", "item.txt"]),
    ("freerec: timestamps in one file only", "freerec", {"test.txt": "USER\tITEM\n0\t1\n"},
     ["test.txt", "'TIMESTAMP'", "train.txt"]),
    ("freerec: no targets at all", "freerec", {"test.txt": FREEREC_HEADER},
     ["test.txt", "no interactions"]),
    ("2014: no metadata", "amazon2014", {"meta_Beauty.json.gz": None}, ["items", "meta_*.json.gz"]),
    ("2014: two review files", "amazon2014", {"ratings_Beauty.csv": "U,A,5,1\n"},
     ["ratings_Beauty.csv, reviews_Beauty_5.json.gz", "data.source.interactions"]),
    ("2014: not gzip", "amazon2014", {"meta_Beauty.json.gz": b"{'asin': 'A'}\n"},
     ["meta_Beauty.json.gz", "gzip"]),
    ("2014: cut gzip", "amazon2014",
     {"reviews_Beauty_5.json.gz": gzip.compress(json_lines(REVIEW).encode() * 500)[:-30]},
     ["reviews_Beauty_5.json.gz", "not a complete gzip file"]),
    ("2014: broken literal", "amazon2014",
     {"meta_Beauty.json.gz": "{'asin': 'A'}\n{'asin': 'B', 'title'\n"},
     ["meta_Beauty.json.gz, line 2", "{'asin': 'B'"]),
    ("2014: ratings with a header", "amazon2014",
     {"reviews_Beauty_5.json.gz": None, "ratings_Beauty.csv": "user,item,rating,timestamp\n"},
     ["ratings_Beauty.csv, row 1", "timestamp"]),
    ("2018: broken JSON", "amazon2018",
     {"Beauty_5.json.gz": json_lines(REVIEW) + '{"reviewerID": "U", \n'},
     ["Beauty_5.json.gz, line 2", "not a valid record"]),
    ("2018: a line that is no record", "amazon2018", {"meta_Beauty.json.gz": "[1, 2]\n"},
     ["meta_Beauty.json.gz, line 1", "keys and values"]),
    ("2018: review without item", "amazon2018",
     {"Beauty_5.json.gz": json_lines(REVIEW, {**REVIEW, "asin": None})},
     ["Beauty_5.json.gz, line 2", "'asin' is None"]),
    ("2018: review without time", "amazon2018",
     {"Beauty_5.json.gz": json_lines({"reviewerID": "U", "asin": "A", "overall": 1})},
     ["Beauty_5.json.gz, line 1", "'unixReviewTime' is missing"]),
    ("2018: rating that is text", "amazon2018",
     {"Beauty_5.json.gz": json_lines({**REVIEW, "overall": "five"})},
     ["Beauty_5.json.gz, line 1", "'overall' is 'five'"]),
    ("2018: time that is not finite", "amazon2018",
     {"Beauty_5.json.gz": json_lines({**REVIEW, "unixReviewTime": float("nan")})},
     ["Beauty_5.json.gz, line 1", "'unixReviewTime' is nan"]),
    ("2023: empty file", "amazon2023", {"All_Beauty.jsonl.gz": "\n"},
     ["All_Beauty.jsonl.gz is empty"]),
    ("2023: not UTF-8", "amazon2023",
     {"meta_All_Beauty.jsonl.gz": gzip.compress(b'{"parent_asin": "\xff"}\n')},
     ["meta_All_Beauty.jsonl.gz, line 1", "not UTF-8"]),
    ("2023: item without id", "amazon2023",
     {"meta_All_Beauty.jsonl.gz": json_lines({"parent_asin": "P"}, {"title": "x"})},
     ["meta_All_Beauty.jsonl.gz, line 2", "'parent_asin' is missing"]),
    ("tables: several files", "tables", {"items.tsv": ITEMS},
     ["items.csv, items.tsv", "data.source.items"]),
    ("tables: not parquet", "tables", {"items.csv": None, "items.parquet": b"PAR0"},
     ["items.parquet", "not a readable parquet file"]),
    ("tables: no timestamp", "tables", {"interactions.csv": "user_id,item_id\nu,a\n"},
     ["interactions.csv", "'timestamp'", "null"]),
    ("tables: cut gzip", "tables",
     {"items.csv": None, "items.csv.gz": gzip.compress(ITEMS.encode() * 99)[:-9]},
     ["items.csv.gz", "not a complete gzip file"]),
    ("tables: broken row after a line break in a cell", "tables",
     {"items.csv": 'item_id,title\na,"x\ny"\nb\n'}, ["items.csv, row 3", "1 cells where 2"]),
]  # fmt: skip


def refusal(folder: Path, files: dict, layout: str, **settings: object) -> str:
    for name, content in list(files.items()):
        if content is None:
            del files[name]
    with pytest.raises(TigerError) as caught:
        build_catalog(data(write(folder, files), layout, **settings), folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("layout", "replaced", "named"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_a_broken_file(tmp_path: Path, layout: str, replaced: Files, named: list[str]) -> None:
    message = refusal(tmp_path, {**LAYOUTS[layout](), **replaced}, layout)
    for part in named:
        assert part in message
    assert str(tmp_path) in message
    assert "\n" not in message


def test_the_unbroken_files_are_read(tmp_path: Path) -> None:
    """Otherwise the cases above might fail for another reason than the one they name."""
    for layout in ("plain", "amazon2014", "tables"):
        folder = write(tmp_path / layout, LAYOUTS[layout]())
        assert build_catalog(data(folder, layout), tmp_path).counts.test_interactions == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"source_columns": {"user_id": "customer"}}, ["interactions.csv", "'customer'"]),
        (
            {"source_columns": {"item_id_in_items": "sku"}},
            ["items.csv", "'sku'", "item_id_in_items"],
        ),
        ({"source_columns": {"timestamp": "at"}}, ["interactions.csv", "'at'", "null"]),
        ({"source_columns": {"rating": "stars"}}, ["interactions.csv", "'stars'"]),
        ({"source_fields": {"title": "name"}}, ["items.csv", "'name'", "data.source.fields"]),
        ({"source_items": "goods.csv"}, ["goods.csv", "data.source.items", "does not exist"]),
        ({"source_items": "items.xlsx"}, ["items.xlsx", "ending", ".parquet"]),
        ({"filter": "550_LOU"}, ["filters leave no interactions", "data.filter"]),
        ({"filter": {"min_rating": 6}}, ["5 are rated below 6"]),
        ({"split": {"min_history": 4}}, ["min_history"]),
    ],
)
def test_settings_that_do_not_fit_the_tables(tmp_path: Path, settings: dict, named) -> None:
    message = refusal(tmp_path, {**LAYOUTS["tables"](), "items.xlsx": b"x"}, "tables", **settings)
    for part in named:
        assert part in message


@pytest.mark.parametrize(
    ("column", "fields", "named"),
    [
        ({"item_id": [1.0, 2.0]}, {}, ["items.parquet", "'item_id'", "double"]),
        ({"item_id": ["a", None]}, {}, ["items.parquet, row 2", "item_id is empty"]),
        ({"item_id": ["a", "b"], "v": [[0.5], [0.5]]}, {"title": "v"}, ["items.parquet", "'v'"]),
    ],
)
def test_parquet_columns_of_the_wrong_type(tmp_path: Path, column, fields, named) -> None:
    pq.write_table(pa.table(column), tmp_path / "items.parquet")
    files = {"interactions.csv": LAYOUTS["tables"]()["interactions.csv"]}
    message = refusal(tmp_path, files, "tables", source_fields=fields)
    for part in named:
        assert part in message


def test_a_folder_that_is_not_there_or_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(TigerError, match=r"nowhere does not exist.*relative paths start at"):
        build_catalog(data(Path("nowhere")), tmp_path)
    (tmp_path / "items.tsv").write_text(ITEMS)
    with pytest.raises(TigerError, match=r"items\.tsv is a file"):
        build_catalog(data(Path("items.tsv")), tmp_path)


def test_freerec_has_no_single_interactions_file(tmp_path: Path) -> None:
    message = refusal(tmp_path, dict(FREEREC), "freerec", source_interactions="train.txt")
    assert "data.source.interactions" in message
