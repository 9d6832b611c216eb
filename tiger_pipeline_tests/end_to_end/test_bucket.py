"""Artifacts in a bucket of a real S3 server: several machines, kills, and the whole pipeline."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiger_pipeline.cli import DATASET_ASSETS, LEADERBOARD_ASSETS, materialize_command
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.mirror import MirroredStore
from tiger_pipeline_tests.end_to_end.bucket import (
    SECRET,
    URL,
    Bucket,
    bucket_server,
    machine,
)
from tiger_pipeline_tests.end_to_end.shop import Shop, make_shop
from tiger_pipeline_tests.storage.remotes import NEW, OLD, read, write

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
MODEL = ("generator", "demo", "random")
RECOMMEND = ("tiger_pipeline.cli", "recommend", "--dataset", "shop", "--variant", "plain")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    from s3fs import S3FileSystem

    with bucket_server() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        yield running
        S3FileSystem.clear_instance_cache()


@contextmanager
def started(command: list[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    """A process in a group of its own, which is killed at the end of the block: its id."""
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(condition, log: Path, seconds: float = 240.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, log.read_text()[-5000:]
        time.sleep(0.02)


def test_machines_share_artifacts(bucket: Bucket, tmp_path: Path):
    here, there = (MirroredStore.open(URL, tmp_path / name) for name in ("here", "there"))
    assert read(there.fetch(there.directory(*MODEL))) is None
    for content in (OLD, NEW):
        write(here.directory(*MODEL), content)
        here.publish(here.directory(*MODEL))
        assert read(there.fetch(there.directory(*MODEL))) == content
    assert len(bucket.objects("generator")) == 1 + len(NEW)  # the old version is gone
    assert there.partitions("generator", dimensions=2) == {("demo", "random")}
    with there.sharing_embeddings("encoder") as cache:
        write(cache / "encoder" / "part-a.parquet", "a")
    with here.sharing_embeddings("encoder") as cache:
        assert read(cache / "encoder" / "part-a.parquet") == "a"
    with there.resuming(*MODEL) as work:
        write(work / "epoch_state", OLD)
    with here.resuming(*MODEL) as work:
        assert read(work / "epoch_state") == OLD
        (work / "epoch_state").rename(tmp_path / "done")
        work.rmdir()
    assert not bucket.objects(".resumable")
    here.remote.withdraw("/".join(MODEL))
    assert not bucket.objects("generator")


def test_an_upload_that_is_killed_leaves_the_version_before(bucket: Bucket, tmp_path: Path):
    environment = {**os.environ, **bucket.environment, "PYTHONPATH": str(CHECKOUT)}
    log = tmp_path / "log"

    def publishing(text: str, files: int) -> list[str]:
        module = "tiger_pipeline_tests.end_to_end.publish_files"
        return [module, str(tmp_path / "here"), text, str(files)]

    subprocess.run([sys.executable, "-m", *publishing("old", 3)], env=environment, check=True)
    before = bucket.objects("generator")
    with started(publishing("new", 400), environment, log) as process:
        wait_until(lambda: len(bucket.objects("generator")) > len(before) + 5, log)
        os.kill(process, signal.SIGKILL)
    left = bucket.objects("generator")
    assert set(before) < set(left)
    assert len(left) < len(before) + 400

    reader = MirroredStore.open(URL, tmp_path / "there")
    found = read(reader.fetch(reader.directory(*MODEL)))
    assert found == {f"weights_{number}": "old" * 1000 for number in range(3)}

    subprocess.run([sys.executable, "-m", *publishing("newer", 2)], env=environment, check=True)
    assert len(bucket.objects("generator")) == 1 + 2
    found = read(reader.fetch(reader.directory(*MODEL)))
    assert found == {f"weights_{number}": "newer" * 1000 for number in range(2)}


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket, tmp_path: Path):
    store = MirroredStore.open("s3://no-such-bucket/prefix", tmp_path)
    write(store.directory(*MODEL), NEW)
    with pytest.raises(ArtifactError, match=r"s3://no-such-bucket/prefix/generator.*bucket"):
        store.publish(store.directory(*MODEL))


@pytest.fixture(scope="module")
def shop(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose whole chain ran on one machine; its artifacts are in the bucket."""
    folder = tmp_path_factory.mktemp("shop")
    shop = machine(make_shop(folder, with_home=True), bucket, folder / "copies")
    done = shop.call("tiger_pipeline.cli", "run", "shop", "plain", "--log-level", "DEBUG")
    assert done.returncode == 0, done.stderr[-5000:]
    assert SECRET not in done.stdout + done.stderr
    return shop


def test_every_artifact_is_in_the_bucket_once(shop: Shop, bucket: Bucket):
    objects = bucket.objects()
    expected = [
        *(f"{asset}/shop.parquet" for asset in DATASET_ASSETS.split(",")[:-1]),
        "baseline_metrics/shop",
        *(f"{asset}/shop/plain.parquet" for asset in ("semantic_ids", "cold_semantic_ids")),
        *(f"{asset}/shop/plain" for asset in ("codebooks", "generator", "metrics")),
        "recommendations/shop/plain.parquet",
        "leaderboard/shop",
    ]
    for key in expected:
        inside = [path for path in objects if path.startswith(f"{key}/")]
        assert f"{key}/current.json" in inside
        assert len({path.split("/v-")[1].split("/")[0] for path in inside if "/v-" in path}) == 1
    assert any(path.startswith("embedding_cache/") for path in objects)
    assert not [path for path in objects if path.startswith(".resumable")]
    assert not shop.store.exists()


def test_another_machine_recommends_from_an_empty_cache(shop: Shop, bucket: Bucket, tmp_path: Path):
    other = machine(shop, bucket, tmp_path / "copies")
    done = other.call(*RECOMMEND, "--history", "b0,b1", "--top-k", "3")
    assert done.returncode == 0, done.stderr
    assert "Dragon Tales" in done.stdout.split("Next:")[1]
    again = other.call(*RECOMMEND, "--history", "b0,b1", "--top-k", "3")
    assert again.stdout.split("Loaded")[0] == done.stdout.split("Loaded")[0]


def test_a_variant_that_is_not_finished_is_named_by_its_url(
    shop: Shop, bucket: Bucket, tmp_path: Path
):
    other = machine(shop, bucket, tmp_path / "copies")
    done = other.call(*RECOMMEND[:-1], "by_chance", "--history", "b0")
    assert done.returncode == 2
    assert f"{URL}/semantic_ids/shop/by_chance.parquet does not exist" in done.stderr
    assert "shop plain" in done.stderr.partition("Finished in this store: ")[2]


def test_another_machine_does_nothing_again(shop: Shop, bucket: Bucket, tmp_path: Path):
    before = bucket.objects()
    other = machine(shop, bucket, tmp_path / "copies")
    encoded = other.materialize("item_embeddings,sasrec_baseline", "shop")
    assert encoded.returncode == 0, encoded.stderr[-5000:]
    assert "Encoded 0 texts; 41 were in the cache already" in encoded.stderr
    trained = other.materialize("generator,metrics,cold_start_metrics", "shop|plain")
    assert trained.returncode == 0, trained.stderr[-5000:]
    assert "it is kept" in trained.stderr
    compared = other.materialize(LEADERBOARD_ASSETS, "shop")
    assert compared.returncode == 0, compared.stderr[-5000:]
    after = bucket.objects()
    assert bucket.objects("generator") == {
        path: size for path, size in before.items() if path.startswith("generator/")
    }
    for asset in ("sasrec_baseline/shop", "cold_start_model/shop/plain"):
        assert f"{asset}/current.json" in after
    assert not [path for path in after if path.startswith(".resumable")]


def test_a_training_that_is_killed_goes_on_on_another_machine(
    shop: Shop, bucket: Bucket, tmp_path: Path
):
    prepared = shop.materialize("codebooks,semantic_ids", "shop|by_chance")
    assert prepared.returncode == 0, prepared.stderr[-5000:]
    overrides = ["training.max_epochs=100000", "training.patience=100000"]
    command = materialize_command("generator", "shop|by_chance", overrides)
    state = ".resumable/generator/shop/by_chance"
    log = tmp_path / "first"
    with started(command, shop.environment, log):
        wait_until(lambda: f"{state}/current.json" in bucket.objects(state), log)
    log = tmp_path / "second"
    other = machine(shop, bucket, tmp_path / "copies")
    with started(command, other.environment, log):
        wait_until(lambda: "Training goes on after epoch" in log.read_text(), log)
    assert f"{state}/current.json" in bucket.objects(state)
    assert "generator/shop/by_chance/current.json" not in bucket.objects("generator")
