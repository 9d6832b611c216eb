from pathlib import Path

import pytest

from tiger_pipeline.configuration.locations import open_store, store_root
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.mirror import MirroredStore
from tiger_pipeline.storage.store import ArtifactStore


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("TIGER_STORE", "TIGER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return monkeypatch


def test_the_store_is_a_folder_of_the_checkout_by_default():
    assert open_store() == ArtifactStore(Path(__file__).parents[2] / "artifacts")
    assert type(open_store()) is ArtifactStore


def test_a_folder_is_a_folder(environment: pytest.MonkeyPatch, tmp_path: Path):
    environment.setenv("TIGER_STORE", "~/store")
    assert open_store() == ArtifactStore(tmp_path / "home" / "store")
    assert store_root() == tmp_path / "home" / "store"
    assert open_store(str(tmp_path / "x" / ".." / "y")) == ArtifactStore(tmp_path / "y")


def test_copies_of_a_url_are_in_the_cache_by_its_hash(
    environment: pytest.MonkeyPatch, tmp_path: Path
):
    environment.setenv("TIGER_STORE", "memory://bucket/a")
    first = open_store()
    assert isinstance(first, MirroredStore)
    assert first.root.parent == tmp_path / "home" / ".cache" / "tiger_pipeline"
    assert store_root() == first.root
    assert open_store("memory://bucket/a/").root == first.root
    assert open_store("memory://bucket/b").root != first.root
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert open_store().root == tmp_path / "xdg" / "tiger_pipeline" / first.root.name
    environment.setenv("TIGER_CACHE", str(tmp_path / "own"))
    assert open_store().root == tmp_path / "own" / first.root.name


def test_the_same_folder_is_the_same_writer_and_another_is_another(
    environment: pytest.MonkeyPatch, tmp_path: Path
):
    def writer(cache: str) -> str:
        environment.setenv("TIGER_CACHE", str(tmp_path / cache))
        store = open_store("memory://bucket/a")
        assert isinstance(store, MirroredStore)
        return store.remote._writer

    assert writer("one") == writer("one")
    assert writer("one") != writer("two")


def test_a_cache_that_cannot_be_written_is_named(environment: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("")
    environment.setenv("TIGER_CACHE", str(tmp_path / "file"))
    with pytest.raises(Exception, match="TIGER_CACHE") as caught:
        open_store("memory://bucket/a")
    assert type(caught.value).__name__ == "ArtifactError"


def test_a_bad_url_is_refused():
    with pytest.raises(ConfigurationError, match="plain URL"):
        open_store("s3://bucket/prefix?endpoint=elsewhere")
