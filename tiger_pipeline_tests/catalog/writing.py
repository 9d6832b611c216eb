"""Small datasets on disk for the tests."""

import gzip
import json
from pathlib import Path

from tiger_pipeline.catalog.config import DataConfig, SourceConfig

ITEMS = "item_id\ttitle\tbrand\na\tRed polish\tOPI\nb\tSerum\t\nc\tSoap\tDove\n"
INTERACTIONS = (
    "user_id\titem_id\ttimestamp\trating\n"
    "u\ta\t10\t5\nu\tb\t20\t4\nu\tc\t30\t1\n"
    "v\tc\t5\t3\nv\ta\t6\t\n"
)
PLAIN: dict[str, str | bytes] = {"items.tsv": ITEMS, "interactions.tsv": INTERACTIONS}

_HEADER = "USER\tITEM\tRATING\tTIMESTAMP\n"
FREEREC: dict[str, str | bytes] = {
    "item.txt": (
        'ITEM\tTITLE\tCATEGORIES\tBRAND\n0\tRed\tNails\tOPI\n1\t"The ""Best"""\t\t\n2\tC\tD\tE\n'
    ),
    "train.txt": _HEADER + "0\t0\t5.0\t10.0\n0\t1\t5.0\t11.0\n1\t2\t4.0\t3.0\n",
    "valid.txt": _HEADER + "0\t2\t5.0\t12.0\n",
    "test.txt": _HEADER + "0\t1\t1.0\t13.0\n",
}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files into `folder`; text in a file whose name ends in .gz is compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        if name.endswith(".gz") and isinstance(content, str):
            data = gzip.compress(data)
        (folder / name).write_bytes(data)
    return folder


def json_lines(*records: dict) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def source(folder: Path, format: str = "plain", **settings: object) -> SourceConfig:
    return SourceConfig.model_validate({"format": format, "path": str(folder), **settings})


def data(folder: Path, format: str = "plain", **settings: object) -> DataConfig:
    """Settings of a dataset; those of the source start with `source_`."""
    prefix = "source_"
    of_source = {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}
    rest = {k: v for k, v in settings.items() if not k.startswith(prefix)}
    return DataConfig.model_validate({"source": source(folder, format, **of_source), **rest})


def amazon2014() -> dict[str, str | bytes]:
    reviews = [
        ("U1", "A", 5.0, 1000), ("U1", "B", 4.0, 2000), ("U1", "X", 3.0, 2000), ("U2", "A", 1.0, 5),
    ]  # fmt: skip
    return {
        "reviews_Beauty_5.json.gz": json_lines(
            *(
                {"reviewerID": user, "asin": item, "overall": rating, "unixReviewTime": time}
                for user, item, rating, time in reviews
            )
        ),
        "meta_Beauty.json.gz": (
            "{'asin': 'A', 'title': \"L'Or\\u00e9al &amp; Co\", 'price': 3.99, 'brand': 'OPI', "
            "'categories': [['Beauty', 'Nails'], ['Gifts']], 'related': {'also_bought': ['B']}}\n"
            "\n"
            "{'asin': 'B', 'categories': [['Beauty']], 'description': 'Two\\nlines'}\n"
        ),
    }


def amazon2018() -> dict[str, str | bytes]:
    return {
        "Beauty_5.json.gz": json_lines(
            {"reviewerID": "U1", "asin": "A", "overall": 5.0, "unixReviewTime": 1000},
            {"reviewerID": "U1", "asin": "B", "overall": 4, "unixReviewTime": 2000},
        ),
        "meta_Beauty.json.gz": json_lines(
            {"asin": "A", "title": "Red", "brand": "OPI", "category": ["Beauty", "Nails &amp; Co"]},
            {"asin": "A", "title": "Red again"},
            {"asin": "B", "description": ["one", "two"], "category": [], "price": "$2"},
        ),
    }


def amazon2023() -> dict[str, str | bytes]:
    return {
        "All_Beauty.jsonl.gz": json_lines(
            {"user_id": "U", "parent_asin": "P", "rating": 5, "timestamp": 1588615855070},
            {"user_id": "U", "parent_asin": "Q", "rating": 1, "timestamp": 1588615855069},
        ),
        "meta_All_Beauty.jsonl.gz": json_lines(
            {
                "parent_asin": "P", "title": "Red", "main_category": "All Beauty", "price": None,
                "categories": ["Beauty", "Nails"], "store": "Shop", "details": {"Brand": "OPI"},
            },
            {"parent_asin": "Q", "categories": [], "details": {}, "features": ["a", "b"]},
        ),
    }  # fmt: skip
