"""The pipeline through `dagster asset materialize` and `tiger run`, as CI would call them."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tiger_pipeline.cli import DATASET_ASSETS, LEADERBOARD_ASSETS, VARIANT_ASSETS
from tiger_pipeline_tests.end_to_end.shop import USERS, Shop, make_shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose whole chain was run by three calls, without DAGSTER_HOME."""
    shop = make_shop(tmp_path_factory.mktemp("shop"), with_home=False)
    for assets, partition in (
        (DATASET_ASSETS, "shop"),
        (VARIANT_ASSETS, "shop|plain"),
        (LEADERBOARD_ASSETS, "shop"),
    ):
        done = shop.materialize(assets, partition)
        assert done.returncode == 0, done.stderr[-5000:]
    return shop


def files_of(shop: Shop) -> dict[str, bytes]:
    return {
        str(path.relative_to(shop.store)): path.read_bytes()
        for path in sorted(shop.store.rglob("*"))
        if path.is_file()
    }


def test_every_artifact_is_there(shop: Shop):
    expected = [
        *("items/shop.parquet", "interactions/shop.parquet", "item_texts/shop.parquet"),
        *("item_embeddings/shop.parquet", "warm_item_embeddings/shop.parquet"),
        *("semantic_ids/shop/plain.parquet", "cold_semantic_ids/shop/plain.parquet"),
        "generator/shop/plain/model.safetensors",
        *("metrics/shop/plain/report.html", "metrics/shop/plain/metrics.json"),
        "recommendations/shop/plain.parquet",
        "leaderboard/shop/leaderboard.md",
    ]
    missing = set(expected) - set(files_of(shop))
    assert not missing


def test_nothing_is_left_half_written(shop: Shop):
    assert not [name for name in files_of(shop) if "writing" in name]
    assert not [name for name in os.listdir(shop.folder) if name.startswith(".tmp_dagster_home")]


def test_no_artifact_is_a_pickle(shop: Shop):
    kinds = {Path(name).suffix for name in files_of(shop)}
    assert kinds <= {".parquet", ".safetensors", ".json", ".html", ".md", ".png"}


def test_the_cold_item_is_encoded_but_not_trained_on(shop: Shop):
    embedded = pq.read_table(shop.store / "item_embeddings/shop.parquet")["item_id"].to_pylist()
    with_ids = pq.read_table(shop.store / "semantic_ids/shop/plain.parquet")["item_id"].to_pylist()
    assert "cold" in embedded
    assert with_ids == [item_id for item_id in embedded if item_id != "cold"]


def test_the_generator_learned_the_series(shop: Shop):
    report = json.loads((shop.store / "metrics/shop/plain/metrics.json").read_text())
    ndcg = {
        row["model"]: row["value"]
        for row in report["metrics"]
        if (row["split"], row["seen"], row["metric"], row["k"]) == ("test", "masked", "ndcg", 10)
    }
    assert ndcg["plain"] > 2 * ndcg["popularity"]
    assert ndcg["plain"] > 2 * ndcg["random_ranking"]


def test_recommendations_leave_out_what_users_had(shop: Shop):
    table = pq.read_table(shop.store / "recommendations/shop/plain.parquet").to_pylist()
    had = {
        (row["user_id"], row["item_id"])
        for row in pq.read_table(shop.store / "interactions/shop.parquet").to_pylist()
    }
    given = [(row["user_id"], row["item_id"]) for row in table]
    assert len({user for user, _ in given}) == USERS
    assert len(set(given)) == len(given)
    assert not had.intersection(given)


def test_a_second_run_encodes_and_trains_nothing_and_changes_nothing(shop: Shop):
    before = files_of(shop)
    again = shop.materialize("item_embeddings,warm_item_embeddings", "shop")
    assert again.returncode == 0, again.stderr[-5000:]
    assert "Encoded 0 texts; 41 were in the cache already" in again.stderr
    trained = shop.materialize("generator", "shop|plain")
    assert trained.returncode == 0, trained.stderr[-5000:]
    assert "it is kept" in trained.stderr
    assert files_of(shop) == before


def test_tiger_run_chains_the_calls_for_another_generator(shop: Shop, tmp_path: Path):
    home = str(tmp_path / "home")  # without one, its runs would be among the checkout's own
    done = Shop(shop.folder, {**shop.environment, "DAGSTER_HOME": home}).call(
        *("tiger_pipeline.cli", "run", "shop", "by_chance"),
        *("--set", "training.max_epochs=1", "--set", "model.generator.kind=item_decoder"),
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.count("dagster asset materialize") == 3
    board = (shop.store / "leaderboard/shop/leaderboard.md").read_text()
    for model in ("plain", "by_chance", "by_chance, codes alone", "popularity", "random_ranking"):
        assert model in board


def test_sasrec_joins_the_leaderboard_when_it_is_asked_for(shop: Shop):
    done = shop.materialize("sasrec_baseline,leaderboard", "shop")
    assert done.returncode == 0, done.stderr[-5000:]
    board = pq.read_table(shop.store / "leaderboard/shop/leaderboard.parquet").to_pylist()
    sasrec = next(row for row in board if row["model"] == "sasrec")
    assert sasrec["kind"] == "baseline"
    assert sasrec["parameters"] > 0
    assert [row["against_row_above_p"] is None for row in board] == [True] + [False] * (
        len(board) - 1
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "shop", "nothing"], "There is no variant 'nothing'"),
        (["run", "nowhere", "plain"], "There is no dataset 'nowhere'"),
        (["run", "shop", "plain", "--set", "training.epochs=3"], "training.epochs"),
    ],
)
def test_tiger_refuses_before_any_work(shop: Shop, arguments: list[str], message: str):
    done = shop.call("tiger_pipeline.cli", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_partition_is_refused(shop: Shop):
    done = shop.materialize("items", "nowhere")
    assert done.returncode != 0
    assert "nowhere" in done.stderr


def test_bad_data_stops_the_run_with_one_message_and_leaves_the_artifacts(
    shop: Shop, tmp_path: Path
):
    broken = Shop(tmp_path, {**shop.environment, "TIGER_CONFIG": str(tmp_path / "presets")})
    shutil.copytree(shop.folder / "presets", tmp_path / "presets")
    shutil.copytree(shop.raw, tmp_path / "shop")
    with open(tmp_path / "shop" / "items.tsv", "a") as items:
        items.write("b0\tThe same id again\t\t\n")
    before = files_of(shop)
    done = broken.materialize("items,interactions", "shop")
    assert done.returncode == 1
    assert "items.tsv" in done.stderr
    assert "b0" in done.stderr
    assert files_of(shop) == before


def test_a_checkpoint_of_another_catalog_is_refused(shop: Shop, tmp_path: Path):
    store = tmp_path / "store"
    shutil.copytree(shop.store, store)
    other = Shop(tmp_path, {**shop.environment, "TIGER_STORE": str(store)})
    table = pq.read_table(store / "semantic_ids/shop/plain.parquet")
    pq.write_table(table.slice(1), store / "semantic_ids/shop/plain.parquet")
    done = other.materialize("recommendations", "shop|plain")
    assert done.returncode == 1
    assert "were given beside other warm ones" in done.stderr
