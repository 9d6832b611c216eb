"""Real datasets, where they are at hand: see `TIGER_REAL_DATA` in the contributor's notes."""

import os
from pathlib import Path

import pytest

import tiger_pipeline
from tiger_pipeline.catalog.artifacts import Catalog
from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.catalog.checks import (
    check_interactions,
    check_items,
    check_no_target_in_training,
)
from tiger_pipeline.catalog.item_text import build_item_texts
from tiger_pipeline_tests.catalog.writing import data

REPOSITORY = Path(tiger_pipeline.__file__).parents[1]
REAL_DATA = Path(os.environ.get("TIGER_REAL_DATA", REPOSITORY / ".." / "shared" / "data"))


def build(name: str, **settings: object) -> Catalog:
    if not (REAL_DATA / name).is_dir():
        pytest.skip(f"{name} is not in {REAL_DATA}")
    config = data(Path(name), **settings)
    catalog = build_catalog(config, REAL_DATA)
    assert check_items(catalog.items, catalog.interactions) == []
    assert check_interactions(catalog.interactions, catalog.items) == []
    assert check_no_target_in_training(catalog.interactions, catalog.items, False) == []
    return catalog


def test_beauty_is_the_dataset_of_the_tiger_paper() -> None:
    catalog = build("amazon2014_beauty")
    counts = catalog.counts
    assert (counts.users, counts.items, counts.interactions) == (22_363, 12_101, 198_502)
    assert counts.valid_interactions == counts.test_interactions == 22_363
    assert counts.duplicates == counts.users_without_test_target == 0
    core = build("amazon2014_beauty", filter="550_LOU")
    assert core.items.equals(catalog.items)
    assert core.interactions.equals(catalog.interactions)

    config = data(Path("amazon2014_beauty"))
    texts = build_item_texts(catalog.items, config.text)["text"].to_pylist()
    assert sum(text.startswith("TITLE: .") for text in texts) == 7
    assert sum(text.endswith("BRAND: .") for text in texts) == 4_623
    assert all(text.count("\n") == 2 for text in texts)


def test_movielens_latest_small() -> None:
    counts = build("ml_latest_small").counts
    assert (counts.users, counts.items, counts.interactions) == (610, 9_724, 100_836)
    assert counts.test_interactions == 610
    core = build("ml_latest_small", filter="554_LOU")
    assert min(core.items["n_interactions"].to_pylist()) >= 5
    ratings = core.interactions["rating"].to_pylist()
    assert min(ratings) >= 4
    assert core.counts.low_ratings == 100_836 - sum(
        float(line.rsplit("\t", 1)[1]) >= 4
        for line in (REAL_DATA / "ml_latest_small" / "interactions.tsv")
        .read_text()
        .splitlines()[1:]
    )
