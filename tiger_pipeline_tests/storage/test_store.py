from pathlib import Path

import pytest

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.store import ArtifactStore


def test_paths():
    store = ArtifactStore(Path("/store"))
    assert store.table("items", "demo") == Path("/store/items/demo.parquet")
    assert store.directory("generator", "demo", "random") == Path("/store/generator/demo/random")
    assert store.resumable("generator", "demo") == Path("/store/.resumable/generator/demo")


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "A", "a.b", "a b"])
def test_no_name_leaves_the_store(name: str):
    with pytest.raises(ConfigurationError, match="cannot name an artifact"):
        ArtifactStore(Path("/store")).table("items", name)
