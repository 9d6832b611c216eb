import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.encoding.embedding_table import list_array_of
from tiger_pipeline.errors import ArtifactError, ConfigurationError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table, write_table
from tiger_pipeline.workflows.codebooks import read_codebook_facts
from tiger_pipeline.workflows.sweep import SWEEPS, find_sweep, run_sweep
from tiger_pipeline.workflows.sweep_document import write_sweep
from tiger_pipeline_tests.storage.remotes import Bucket, machine

N_ITEMS = 30
BUDGET = (
    "model.quantizer={kind: random, levels: 2, codewords: 4}",
    "model.generator={kind: decoder, blocks: 1, width: 16, heads: 2}",
    "training={max_epochs: 1, validation_users: 10}",
    "evaluation={beams: 10, cutoffs: [10], recommended_items: 10}",
)


def settings_with(*overrides: str) -> Callable[[str], Settings]:
    presets = Presets()
    return lambda point: presets.settings("demo", "random", [*BUDGET, *overrides, point])


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "store")
    generator = np.random.default_rng(0)
    item_ids = [f"item{i}" for i in range(N_ITEMS)]
    vectors = generator.normal(size=(N_ITEMS, 8)).astype(np.float32)
    write_table(
        store.table("warm_item_embeddings", "shop"),
        pa.table({"item_id": item_ids, "embedding": list_array_of(vectors)}),
    )
    splits = ["train", "train", "train", "valid", "test"]
    rows = [
        {"user_id": f"u{user}", "item_id": item_ids[generator.integers(N_ITEMS)], "split": split}
        for user in range(25)
        for split in splits
    ]
    write_table(store.table("interactions", "shop"), pa.Table.from_pylist(rows))
    return store


class Notes(NoProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def sweep_blocks(
    store: ArtifactStore, values: list[float], *overrides: str
) -> tuple[pa.Table, list[str]]:
    progress = Notes()
    points = run_sweep(
        *("generator_blocks", "shop", "random"), values, settings_with(*overrides), store, progress
    )
    return points, progress.notes


def folder_of(store: ArtifactStore) -> Path:
    return store.directory("sweeps", "generator_blocks", "shop", "random")


def test_points_are_measured_in_order_over_codebooks_fitted_once(store: ArtifactStore):
    points, _ = sweep_blocks(store, [2, 1, 2])
    assert points["generator_blocks"].to_pylist() == [1.0, 2.0]
    one, two = points["parameters"].to_pylist()
    assert two > one
    (codebooks,) = folder_of(store).glob("codebooks_*")
    levels = read_codebook_facts(codebooks).statistics["levels"]
    product = math.prod(level["perplexity"] for level in levels)
    assert points["perplexity"].to_pylist() == pytest.approx([math.sqrt(product)] * 2)
    assert read_table(folder_of(store) / "points.parquet") == points


def test_a_finished_point_is_kept_until_its_settings_change(store: ArtifactStore):
    first, _ = sweep_blocks(store, [1])
    again, notes = sweep_blocks(store, [1, 2])
    assert again.slice(0, 1) == first
    assert sum("is finished: it is kept" in note for note in notes) == 1
    _, notes = sweep_blocks(store, [1], "training.seed=5")
    assert not any("kept" in note for note in notes)


def test_a_point_that_was_interrupted_after_its_training_does_not_train_again(
    store: ArtifactStore,
):
    first, _ = sweep_blocks(store, [1])
    (folder_of(store) / "1" / "point.json").unlink()
    again, notes = sweep_blocks(store, [1])
    assert again == first
    assert any("it is kept" in note for note in notes)


def test_another_machine_keeps_the_points_that_are_finished(store: ArtifactStore, tmp_path: Path):
    bucket: Bucket = {}
    here, there = machine(store.root, bucket), machine(tmp_path / "there", bucket)
    for asset in ("warm_item_embeddings", "interactions"):
        here.publish(here.table(asset, "shop"))
    first, _ = sweep_blocks(here, [1])
    again, notes = sweep_blocks(there, [1, 2])
    assert again.slice(0, 1) == first
    assert sum("is finished: it is kept" in note for note in notes) == 1
    assert read_table(here.fetch(folder_of(here)) / "points.parquet") == again


def test_a_damaged_point_is_named(store: ArtifactStore):
    sweep_blocks(store, [1])
    (folder_of(store) / "1" / "point.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"point\.json is damaged"):
        sweep_blocks(store, [1])


def test_a_setting_that_the_variant_lacks_is_refused_before_any_work(store: ArtifactStore):
    with pytest.raises(ConfigurationError, match="commitment_weight"):
        run_sweep(
            *("commitment_weight", "shop", "random", [0.1], settings_with(), store, NoProgress())
        )
    assert not store.directory("sweeps").exists()


def test_an_unknown_sweep_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"no sweep 'x'. Known: commitment_weight, gen"):
        find_sweep("x")


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_fits_its_variant_and_its_own_columns(name: str, tmp_path: Path):
    sweep = SWEEPS[name]
    for value in sweep.values:
        Presets().settings("beauty", sweep.variant, [f"{sweep.setting}={value:g}"])
    columns = {name, *(column for drawn in sweep.panels.values() for column in drawn)}
    columns |= set(sweep.correlated or ())
    table = pa.table({c: [float(v) * len(c) for v in sweep.values] for c in sorted(columns)})
    write_sweep(name, "shop", sweep.variant, table, tmp_path / "sweep.md")
    text = (tmp_path / "sweep.md").read_text()
    assert sweep.question in text
    assert ("ρ = +1.00" in text) == (sweep.correlated is not None)
