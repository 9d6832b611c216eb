from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.catalog.item_text import text_hash
from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.encoding.embedding_table import list_array_of, warm_embeddings
from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.config import (
    CollaborativeKMeansConfig,
    QuantizerConfig,
    ResidualKMeansConfig,
)
from tiger_pipeline.storage.fingerprint import fingerprint_files
from tiger_pipeline.workflows.codebooks import assign_semantic_ids, fit_codebooks
from tiger_pipeline.workflows.cold_items import CatalogNow, Growth, grow_cold_table

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
TITLES = {f"w{i}": f"title {i % 30}" for i in range(40)}


def vector(title: str) -> np.ndarray:
    """Stands for an encoder: a random vector that depends on the text."""
    return np.random.default_rng(int(text_hash(title), 16)).normal(size=8).astype(np.float32)


def tables(titles: dict[str, str], withdrawn: set[str]) -> tuple[pa.Table, pa.Table]:
    """The items and their embeddings; those whose ids begin with w are warm."""
    items = pa.table(
        {
            "item_id": list(titles),
            "title": list(titles.values()),
            "n_interactions": pa.array([int(i.startswith("w")) for i in titles], pa.int32()),
            "is_withdrawn": pa.array([item in withdrawn for item in titles], pa.bool_()),
        }
    )
    embeddings = pa.table(
        {
            "item_id": list(titles),
            "text_hash": [text_hash(title) for title in titles.values()],
            "embedding": list_array_of(np.stack([vector(t) for t in titles.values()])),
        }
    )
    return items, embeddings


CONFIGS = {
    "text": ResidualKMeansConfig(levels=2, codewords=6, iterations=5),
    "text and interactions": CollaborativeKMeansConfig(levels=2, codewords=6, dimension=4),
}


def training() -> Histories:
    """Random histories of five items."""
    items = np.random.default_rng(2).integers(len(TITLES), size=100).astype(np.int32)
    return Histories(np.arange(20), np.arange(0, 101, 5), items)


class World:
    """Codebooks and warm IDs that were made once, and a catalog that changes."""

    def __init__(self, folder: Path, config: QuantizerConfig) -> None:
        self.codebooks = folder / "codebooks"
        items, embeddings = tables(TITLES, set())
        warm = warm_embeddings(embeddings, items)
        state = folder / "state"
        fit_codebooks(config, warm, self.codebooks, state, NoProgress(), training())
        self.ids = assign_semantic_ids(self.codebooks, warm)
        made_by = fingerprint_files(sorted(self.codebooks.iterdir()))
        self.table = self.ids.to_table(made_by).append_column("text_hash", warm["text_hash"])

    def catalog(self, titles: dict[str, str], withdrawn: tuple[str, ...] = ()) -> CatalogNow:
        items, embeddings = tables({**TITLES, **titles}, set(withdrawn))
        return CatalogNow(self.table, items, embeddings, ("title",))

    def grow(self, earlier: "Growth | None", titles: dict[str, str], *withdrawn: str, **options):
        before = earlier.table if earlier else None
        return grow_cold_table(
            self.catalog(titles, withdrawn), before, self.codebooks, NOW, **options
        )


@pytest.fixture(scope="module", params=CONFIGS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), CONFIGS[request.param])


def ids_of(growth: Growth) -> dict[str, tuple[int, ...]]:
    ids = growth.table.in_use()
    rows = np.column_stack([ids.codes, ids.suffixes]).tolist()
    return dict(zip(ids.item_ids, map(tuple, rows), strict=True))


def test_versions_append_and_nothing_moves(world: World):
    first = world.grow(None, {"x": "title 3", "y": "new"})
    second = world.grow(first, {"a": "newer", "x": "title 3", "y": "new", "z": "new"})
    assert [v.joined for v in second.table.history] == [2, 2]
    assert ids_of(first).items() <= ids_of(second).items()
    assert list(ids_of(second)) == ["x", "y", "a", "z"]
    row = world.ids.item_ids.tolist().index("w3")
    assert ids_of(first)["x"][:2] == tuple(world.ids.codes[row].tolist())
    assert ids_of(second)["z"][:2] == ids_of(second)["y"][:2]
    everything = second.table.grow(world.ids)
    whole = np.column_stack([everything.codes, everything.suffixes])
    assert len(np.unique(whole, axis=0)) == len(TITLES) + 4


def test_nothing_new_is_no_version(world: World):
    first = world.grow(None, {"x": "new"})
    again = world.grow(first, {"x": "new"})
    assert again.version is None
    assert again.table is first.table
    assert world.grow(None, {}).table.history[0].cold_items == 0


def test_an_item_that_leaves_keeps_its_id_for_its_return(world: World):
    first = world.grow(None, {"x": "new", "y": "new"})
    gone = world.grow(first, {"y": "new"})
    assert (gone.version.withdrawn, list(ids_of(gone))) == (1, ["y"])
    other = world.grow(gone, {"y": "new", "z": "new"})
    assert ids_of(first)["x"] not in ids_of(other).values()
    back = world.grow(other, {"x": "new", "y": "new", "z": "new"})
    assert (back.version.returned, back.version.joined) == (1, 0)
    assert ids_of(back)["x"] == ids_of(first)["x"]


def test_withdrawn_items_stay_out(world: World):
    grown = world.grow(None, {"x": "new", "y": "newer"}, "x", "w5")
    assert list(ids_of(grown)) == ["y"]
    ids = grown.table.grow(world.ids)
    assert ids.withdrawn == {"w5"}
    assert ids.item_ids[~ids.is_available].tolist() == ["w5"]


def test_a_changed_text_is_reported_and_gets_a_new_id_only_on_request(world: World):
    first = world.grow(None, {"x": "new"})
    changed = {"x": "title 3", "w7": "another"}
    kept = world.grow(first, changed)
    assert kept.version is None
    assert ids_of(kept) == ids_of(first)
    assert [(c.item_id, c.is_cold) for c in kept.changed_texts] == [("w7", False), ("x", True)]
    row = world.ids.item_ids.tolist().index("w3")
    assert kept.changed_texts[1].codes_now == tuple(world.ids.codes[row].tolist())

    renamed = world.grow(first, changed, reassign_changed_texts=True)
    assert renamed.version.reassigned == 1
    assert ids_of(renamed)["x"][:2] == kept.changed_texts[1].codes_now
    assert [c.item_id for c in renamed.changed_texts] == ["w7"]
    later = world.grow(renamed, {**changed, "z": "new"})
    assert ids_of(first)["x"] != ids_of(later)["z"]
    assert ids_of(first)["x"][:2] == ids_of(later)["z"][:2]


def test_items_without_text_get_no_id(world: World):
    catalog = world.catalog({"x": " ", "y": "new"})
    assert catalog.items_without_text == {"x"}
    assert catalog.cold_item_ids == ["y"]


def test_new_warm_ids_begin_a_new_table_and_keep_the_history(world: World):
    first = world.grow(None, {"x": "new"})
    other = replace(first.table, warm_ids="others")
    again = grow_cold_table(world.catalog({"x": "new"}), other, world.codebooks, NOW)
    assert again.table.warm_ids == world.ids.fingerprint
    assert [v.version for v in again.table.history] == [1, 2]
    assert len(again.table.versions) == 1


def test_how_the_items_fit(world: World):
    assert world.grow(None, {}).fit is None
    fit = world.grow(None, {"x": "title 3", "y": "title 3"}).fit
    assert (fit.items, fit.collisions, fit.large_errors) == (2, 1.0, None)


def test_other_codebooks_are_refused(world: World, tmp_path: Path):
    items, embeddings = tables(TITLES, set())
    config = ResidualKMeansConfig(levels=2, codewords=6, seed=9)
    warm = warm_embeddings(embeddings, items)
    fit_codebooks(config, warm, tmp_path / "other", tmp_path / "state", NoProgress())
    with pytest.raises(ArtifactMismatchError, match="fitted again since"):
        grow_cold_table(world.catalog({}), None, tmp_path / "other", NOW)
    older = replace(world.catalog({}), semantic_ids=world.table.drop_columns(["text_hash"]))
    with pytest.raises(ArtifactError, match="older version"):
        grow_cold_table(older, None, world.codebooks, NOW)
