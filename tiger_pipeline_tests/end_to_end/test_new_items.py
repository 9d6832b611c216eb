"""Items that arrive after everything was trained, through a real Dagster instance."""

import json
import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tiger_pipeline_tests.end_to_end.shop import Shop, shop_environment

pytestmark = pytest.mark.slow

DEFINITIONS = "tiger_pipeline.definitions"
CHECKOUT = Path(__file__).parents[2]
DATASET = """\
# The demo with models that train in seconds
data:
  source: {path: ../../shop}
  filter: 550_LOU
  items_without_interactions: keep
model:
  quantizer: {kind: residual_kmeans, levels: 2, codewords: 16, iterations: 5}
  generator: {kind: decoder, blocks: 1, width: 16, heads: 2, dropout: 0.0}
training: {max_epochs: 1, validation_users: 50}
evaluation: {beams: 20, codebook_drift: {min_items: 1, max_extra_collisions: 0}}
"""
NEW = [
    f"N{i:02}\tHand-dyed Silk Scarf Number {i}, Indigo\tLoom Lane\tArts > Silk" for i in range(15)
]
DUPLICATES = 3


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The demo, trained, into whose incoming/ folder 20 items were put afterwards."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(CHECKOUT / "data" / "demo", folder / "shop")
    for kind, name, text in (("datasets", "shop", DATASET), ("variants", "plain", "")):
        (folder / "presets" / kind).mkdir(parents=True)
        (folder / "presets" / kind / f"{name}.yaml").write_text(text)
    shop = Shop(folder, shop_environment(folder, with_home=True))
    for assets, partition in (
        ("items,interactions,item_texts,item_embeddings,warm_item_embeddings", "shop"),
        ("codebooks,semantic_ids,cold_semantic_ids,generator", "shop|plain"),
    ):
        done = shop.materialize(assets, partition)
        assert done.returncode == 0, done.stderr[-5000:]
    return shop


def drop(shop: Shop, name: str, lines: list[bytes], age: float = 3600) -> Path:
    """Put a file into incoming/, last changed `age` seconds ago."""
    path = shop.raw / "incoming" / name
    path.parent.mkdir(exist_ok=True)
    header = (shop.raw / "items.tsv").read_bytes().splitlines()[0]
    path.write_bytes(b"\n".join([header, *lines]) + b"\n")
    os.utime(path, (time.time() - age,) * 2)
    return path


def tick(shop: Shop) -> list[dict]:
    """Let the sensor look once, run what it requests, and return the requests."""
    cursor, requested = shop.folder / "cursor.json", shop.folder / "requested.json"
    done = shop.call(
        "tiger_pipeline_tests.end_to_end.tick", str(cursor), str(requested), cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr[-5000:]
    requests = json.loads(requested.read_text())
    for request in requests:
        config = shop.folder / "run.yaml"
        config.write_text(json.dumps(request["run_config"]))
        done = shop.call(
            *("dagster", "job", "execute", "-m", "tiger_pipeline.definitions"),
            *("-j", "add_new_items", "-c", str(config)),
        )
        assert done.returncode == 0, done.stderr[-5000:]
    return requests


def table(shop: Shop, asset: str) -> pa.Table:
    return pq.read_table(shop.store / f"{asset}.parquet")


def files_of(shop: Shop) -> dict[str, bytes]:
    return {
        str(path.relative_to(shop.store)): path.read_bytes()
        for path in sorted(shop.store.rglob("*"))
        if path.is_file()
    }


def test_twenty_items_arrive(shop: Shop):
    tick(shop)
    before = files_of(shop)
    cold_before = table(shop, "cold_semantic_ids/shop/plain")
    lines = (shop.raw / "items.tsv").read_bytes().splitlines()[1:]
    duplicates = [b"D%d\t" % i + lines[i].split(b"\t", 1)[1] for i in range(DUPLICATES)]
    broken = [b"B0\t\t\t", b"B1\tSilk \xff\xfe Scarf\tLoom Lane\tArts > Silk"]
    drop(shop, "monday.tsv", [line.encode() for line in NEW] + duplicates + broken)
    # Changed "just now" for as long as this test may take.
    growing = drop(shop, "tuesday.tsv", [b"T0\tA title that is still bei"], age=-3600)

    assert len(tick(shop)) == 1
    after = files_of(shop)

    parts = [name for name in set(after) - set(before) if name.startswith("embedding_cache")]
    assert [pq.read_table(shop.store / name).num_rows for name in parts] == [len(NEW)]

    frozen = ("semantic_ids/", "codebooks/", "generator/", "warm_item_embeddings/")
    for name, content in before.items():
        if name.startswith(frozen):
            assert after[name] == content, f"{name} has moved"
    cold = table(shop, "cold_semantic_ids/shop/plain")
    assert cold.slice(0, len(cold_before)).equals(cold_before)
    joined = cold.slice(len(cold_before))["item_id"].to_pylist()
    assert sorted(joined) == sorted([*(line[:3] for line in NEW), "D0", "D1", "D2"])
    assert set(cold.slice(len(cold_before))["version"].to_pylist()) == {2}

    ids = [*table(shop, "semantic_ids/shop/plain").to_pylist(), *cold.to_pylist()]
    by_item = {row["item_id"]: (*row["codes"], row["suffix"]) for row in ids}
    assert len(set(by_item.values())) == len(ids)
    for number in range(DUPLICATES):
        twin = by_item[lines[number].split(b"\t")[0].decode()]
        assert by_item[f"D{number}"][:-1] == twin[:-1]

    rejected = shop.raw / "incoming" / "rejected" / "monday.tsv.jsonl"
    rows = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert [(row["row"], row["item_id"]) for row in rows] == [(20, "B0"), (21, None)]
    assert "no text" in rows[0]["reason"]
    assert "UTF-8" in rows[1]["reason"]
    assert growing.name not in str(rows)
    assert "T0" not in table(shop, "items/shop")["item_id"].to_pylist()
    growing.unlink()


def test_all_that_arrived_can_be_recommended_by_the_generator_of_before(shop: Shop):
    warm = table(shop, "semantic_ids/shop/plain")["item_id"].to_pylist()[:2]
    new = [*(line[:3] for line in NEW), "D0", "D1", "D2"]
    available = shop.folder / "available.txt"
    available.write_text("\n".join([*warm, *new]))
    history = table(shop, "semantic_ids/shop/plain")["item_id"].to_pylist()[-1]
    done = shop.call(
        *("tiger_pipeline.cli", "recommend", "--dataset", "shop", "--variant", "plain"),
        *("--history", f"{history},N00", "--available", str(available)),
        *("--top-k", "20", "--epsilon", "1"),
    )
    assert done.returncode == 0, done.stderr
    listed = done.stdout.split("Next:")[1].splitlines()
    found = {line.split()[1] for line in listed if line[:5].strip().isdigit()}
    assert found == {*warm, *new} - {"N00"}  # seen
    assert sum("(cold start)" in line for line in listed) == len(new) - 1


def test_repeating_the_tick_does_nothing(shop: Shop):
    before = files_of(shop)
    assert tick(shop) == []
    assert files_of(shop) == before


def test_a_run_with_nothing_new_changes_nothing(shop: Shop):
    """What the schedules start."""
    before = files_of(shop)
    (shop.folder / "cursor.json").unlink()
    assert len(tick(shop)) == 1
    assert files_of(shop) == before


def test_a_new_item_makes_only_the_cold_table_stale(shop: Shop):
    drop(shop, "tuesday.tsv", [b"T0\tA Silk Scarf for Tuesday\tLoom Lane\tArts > Silk"])
    done = shop.materialize(
        "items,interactions,item_texts,item_embeddings,warm_item_embeddings", "shop"
    )
    assert done.returncode == 0, done.stderr[-5000:]
    written = shop.folder / "stale.json"
    done = shop.call(
        "tiger_pipeline_tests.end_to_end.stale", "shop", "plain", str(written), cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert json.loads(written.read_text()) == {
        "warm_item_embeddings": "FRESH",
        "codebooks": "FRESH",
        "semantic_ids": "FRESH",
        "cold_semantic_ids": "STALE",
        "generator": "FRESH",
    }


def test_the_daemon_takes_in_a_file(shop: Shop):
    count = len(table(shop, "cold_semantic_ids/shop/plain"))
    drop(shop, "wednesday.tsv", [b"W0\tA Silk Scarf for Wednesday\tLoom Lane\tArts > Silk"])
    started = shop.call("dagster", "sensor", "start", "new_items_sensor", "-m", DEFINITIONS)
    assert started.returncode == 0, started.stderr
    with shop.daemon():
        deadline = time.monotonic() + 240
        cold = table(shop, "cold_semantic_ids/shop/plain")
        while len(cold) == count and time.monotonic() < deadline:
            time.sleep(2)
            cold = table(shop, "cold_semantic_ids/shop/plain")
    assert "W0" in cold["item_id"].to_pylist()
    assert pc.max(cold["version"]).as_py() == 3
