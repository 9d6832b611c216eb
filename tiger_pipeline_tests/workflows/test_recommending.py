from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.workflows import recommending
from tiger_pipeline.workflows.recommending import ListSettings, WrittenLists, write_recommendations
from tiger_pipeline.workflows.serving import load_recommender, read_sequences
from tiger_pipeline_tests.workflows.served_store import (
    ITEM_IDS,
    N_ITEMS,
    PARTITION,
    SEQUENCES,
    make_store,
    settings_of,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return make_store(tmp_path_factory.mktemp("store"), "decoder")


def write(store: ArtifactStore, path: Path, wanted: ListSettings) -> WrittenLists:
    recommender = load_recommender(*PARTITION, None, store, settings_of())
    sequences = read_sequences(store, "shop", recommender.catalog.semantic_ids)
    return write_recommendations(path, recommender, sequences, wanted, NoProgress())


def test_every_user_gets_a_list_of_new_items(store: ArtifactStore, tmp_path: Path):
    written = write(store, tmp_path / "lists.parquet", ListSettings(5, 1.0))
    rows = pq.read_table(tmp_path / "lists.parquet").to_pylist()
    assert written.rows == len(rows) == 5 * SEQUENCES.n_users
    assert written.users == SEQUENCES.n_users
    assert written.preview == rows[:10]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5] * SEQUENCES.n_users
    cold = [row for row in rows if row["is_cold_start"]]
    assert written.cold_rows == len(cold) > 0
    assert all(ITEM_IDS.index(row["item_id"]) >= N_ITEMS for row in cold)
    histories = SEQUENCES.complete()
    for user in range(SEQUENCES.n_users):
        had = {ITEM_IDS[item] for item in histories[user]}
        own = [row["item_id"] for row in rows if row["user_id"] == SEQUENCES.user_ids[user]]
        assert len(set(own)) == 5
        assert not had.intersection(own)


def test_lists_are_the_same_in_many_pieces(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(store, tmp_path / "whole.parquet", ListSettings(5, 0.2))
    monkeypatch.setattr(recommending, "_USERS_AT_ONCE", 7)
    write(store, tmp_path / "pieces.parquet", ListSettings(5, 0.2))
    whole, pieces = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "pieces"))
    assert whole.drop(["score"]).equals(pieces.drop(["score"]))
    assert pq.ParquetFile(tmp_path / "pieces.parquet").num_row_groups == 8


def test_only_the_wanted_users_in_their_order(store: ArtifactStore, tmp_path: Path):
    (tmp_path / "users.txt").write_text("user9\nuser3\n")
    wanted = ListSettings(3, 0.0, ["user7", "user3"], tmp_path / "users.txt")
    write(store, tmp_path / "lists.parquet", wanted)
    users = pq.read_table(tmp_path / "lists.parquet")["user_id"].to_pylist()
    assert list(dict.fromkeys(users)) == ["user7", "user3", "user9"]


def test_an_unknown_user_is_named_with_its_line_and_nothing_is_written(
    store: ArtifactStore, tmp_path: Path
):
    (tmp_path / "users.txt").write_text("user3\nuser99x\n")
    wanted = ListSettings(3, 0.0, users_file=tmp_path / "users.txt")
    with pytest.raises(InputError, match=r"'user99x' \(line 2 of .*users\.txt\).*Did you mean"):
        write(store, tmp_path / "lists.parquet", wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["users.txt"]
