from pathlib import Path

import pytest

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline_tests.storage.remotes import OLD, read, write


def test_paths():
    store = ArtifactStore(Path("/store"))
    assert store.table("items", "demo") == Path("/store/items/demo.parquet")
    assert store.directory("generator", "demo", "random") == Path("/store/generator/demo/random")
    assert store.resumable("generator", "demo") == Path("/store/.resumable/generator/demo")


def test_a_folder_is_worked_on_in_place(tmp_path: Path):
    store = ArtifactStore(tmp_path)
    model = store.directory("generator", "demo", "random")
    write(model, OLD)
    for unchanged in (store.fetch, store.resume):
        assert unchanged(model) == model
    store.publish(model)
    with store.resuming("generator", "demo", "random") as work:
        assert work == store.resumable("generator", "demo", "random")
    with store.sharing_embeddings("encoder") as cache:
        assert cache == store.embedding_cache
    assert read(model) == OLD
    assert {path.name for path in tmp_path.iterdir()} == {"generator"}
    assert store.location(model) == str(model)
    assert store.link(model, "config.json") == f"file://{model}/config.json"


def test_partitions_are_those_that_exist(tmp_path: Path):
    store = ArtifactStore(tmp_path)
    assert store.partitions("metrics", dimensions=2) == set()
    write(store.table("items", "demo"), "a table")
    write(store.table("semantic_ids", "demo", "random"), "a table")
    write(store.directory("metrics", "demo", "random"), {"metrics.parquet": "", "sub/page": ""})
    (tmp_path / "metrics" / "demo" / ".writing-plain-1").mkdir()
    assert store.partitions("items", dimensions=1) == {("demo",)}
    assert store.partitions("semantic_ids", dimensions=2) == {("demo", "random")}
    assert store.partitions("metrics", dimensions=2) == {("demo", "random")}


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "A", "a.b", "a b"])
def test_no_name_leaves_the_store(name: str):
    with pytest.raises(ConfigurationError, match="cannot name an artifact"):
        ArtifactStore(Path("/store")).table("items", name)
