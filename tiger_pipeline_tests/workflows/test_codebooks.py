from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.encoding.embedding_table import list_array_of
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.collaborative_kmeans import CollaborativeKMeans
from tiger_pipeline.quantization.config import (
    CollaborativeKMeansConfig,
    RandomConfig,
    ResidualKMeansConfig,
)
from tiger_pipeline.quantization.quantizer import load_quantizer
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import write_table
from tiger_pipeline.workflows.codebooks import (
    assign_semantic_ids,
    fetch_initial_codebooks,
    fit_codebooks,
    read_training,
)
from tiger_pipeline_tests.storage.remotes import OLD, Bucket, machine, operations, read, write


def test_codebooks_to_start_from_are_fetched_if_they_are_an_artifact(tmp_path: Path):
    bucket: Bucket = {}
    here, there = machine(tmp_path / "here", bucket), machine(tmp_path / "there", bucket)
    write(here.directory("codebooks", "demo", "plain"), OLD)
    here.publish(here.directory("codebooks", "demo", "plain"))

    start = there.directory("codebooks", "demo", "plain") / "model.safetensors"
    fetch_initial_codebooks(there, ResidualKMeansConfig(initial_codebooks=str(start)))
    assert read(start) == OLD["model.safetensors"]


def test_other_quantizers_need_nothing(tmp_path: Path):
    store = machine(tmp_path / "here", {})
    elsewhere = str(tmp_path / "elsewhere" / "model.safetensors")
    for config in (
        RandomConfig(),
        ResidualKMeansConfig(),
        ResidualKMeansConfig(initial_codebooks=elsewhere),
    ):
        fetch_initial_codebooks(store, config)
    assert operations(store) == 0


ITEMS = [f"i{row}" for row in range(40)]
VECTORS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
EMBEDDINGS = pa.table({"item_id": ITEMS, "embedding": list_array_of(VECTORS)})
COLLABORATIVE = CollaborativeKMeansConfig(levels=2, codewords=5, dimension=3)


def training(seed: int) -> Histories:
    items = np.random.default_rng(seed).integers(40, size=120).astype(np.int32)
    return Histories(np.arange(20), np.arange(0, 121, 6), items)


def test_warm_items_have_the_codes_of_text_and_interactions(tmp_path: Path):
    codebooks = tmp_path / "codebooks"
    state = tmp_path / "state"
    facts = fit_codebooks(COLLABORATIVE, EMBEDDINGS, codebooks, state, NoProgress(), training(1))
    quantizer = load_quantizer(codebooks)
    assert isinstance(quantizer, CollaborativeKMeans)
    ids = assign_semantic_ids(codebooks, EMBEDDINGS)
    assert np.array_equal(ids.codes, quantizer.fitted_codes)
    assert not np.array_equal(ids.codes, quantizer.assign(VECTORS))
    counts = [np.bincount(ids.codes[:, level], minlength=5).tolist() for level in range(2)]
    assert facts.statistics["code_counts"] == counts
    last = facts.statistics["levels"][-1]["relative_reconstruction_error"]
    assert 0 < last < facts.statistics["levels"][0]["relative_reconstruction_error"] < 1


def test_facts_tell_the_interactions_that_were_read(tmp_path: Path):
    def facts(config, seed: int):
        return fit_codebooks(
            config, EMBEDDINGS, tmp_path / "c", tmp_path / "s", NoProgress(), training(seed)
        ).interactions_fingerprint

    assert facts(COLLABORATIVE, 1) == facts(COLLABORATIVE, 1) != facts(COLLABORATIVE, 2)
    assert facts(ResidualKMeansConfig(levels=2, codewords=5), 1) is None


def test_interactions_are_read_only_where_they_are_needed(tmp_path: Path):
    store = ArtifactStore(tmp_path)
    assert read_training(store, "demo", ResidualKMeansConfig(), EMBEDDINGS) is None
    with pytest.raises(ArtifactError, match="interactions"):
        read_training(store, "demo", COLLABORATIVE, EMBEDDINGS)
    rows = {"user_id": ["u"] * 3, "item_id": ["i4", "i1", "i2"], "split": ["train"] * 2 + ["test"]}
    write_table(store.table("interactions", "demo"), pa.table(rows))
    found = read_training(store, "demo", COLLABORATIVE, EMBEDDINGS)
    assert found is not None
    assert found.items.tolist() == [4, 1]
