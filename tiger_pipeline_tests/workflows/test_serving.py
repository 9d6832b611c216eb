import shutil
from pathlib import Path

import numpy as np
import pytest

from tiger_pipeline.errors import (
    ArtifactError,
    ArtifactMismatchError,
    ConfigurationError,
    InputError,
)
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table, write_table
from tiger_pipeline.workflows.item_filter import ItemFilter
from tiger_pipeline.workflows.serving import LoadedRecommender, load_recommender
from tiger_pipeline_tests.storage.remotes import machine
from tiger_pipeline_tests.workflows.served_store import (
    ITEM_IDS,
    N_ITEMS,
    PARTITION,
    make_store,
    settings_of,
)

HISTORY = ["item3", "new1", "item7"]


@pytest.fixture(scope="module", params=["decoder", "item_decoder"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ArtifactStore:
    return make_store(tmp_path_factory.mktemp(request.param), request.param)


def load(store: ArtifactStore, item_filter: ItemFilter | None = None) -> LoadedRecommender:
    kind = "item_decoder" if "item_decoder" in str(store.root) else "decoder"
    return load_recommender(*PARTITION, item_filter, store, settings_of(kind))


def test_answers_are_named_ranked_and_new_to_the_user(store: ArtifactStore):
    answer = load(store).recommend(HISTORY, top_k=10, epsilon=1.0)
    assert [item.rank for item in answer] == list(range(1, 11))
    assert not {item.item_id for item in answer}.intersection(HISTORY)
    scores = [item.score for item in answer]
    assert scores == sorted(scores, reverse=True)
    for item in answer:
        assert item.title == f"Book {ITEM_IDS.index(item.item_id)}"
        assert item.is_cold_start == item.item_id.startswith("new")


def test_another_machine_answers_the_same_from_the_bucket(store: ArtifactStore, tmp_path: Path):
    copies, bucket = tmp_path / store.root.name, {}
    shutil.copytree(store.root, copies)
    here = machine(copies, bucket)
    tables = [("items", "shop"), ("item_embeddings", "shop"), ("interactions", "shop")]
    tables += [("semantic_ids", *PARTITION), ("cold_semantic_ids", *PARTITION)]
    for path in [
        *(here.table(*table) for table in tables),
        here.directory("generator", *PARTITION),
    ]:
        here.publish(path)
    there = machine(tmp_path / "there" / store.root.name, bucket)
    answers = [load(place).recommend(HISTORY, top_k=10, epsilon=1.0) for place in (store, there)]
    assert answers[0] == answers[1]


def test_the_share_of_cold_items_is_that_of_the_settings_or_of_the_question(store: ArtifactStore):
    recommender = load(store)
    shares = {}
    for epsilon in (None, 0.0, 1.0):
        answers = recommender.recommend_batch([[item] for item in ITEM_IDS], 20, epsilon)
        shares[epsilon] = max(sum(item.is_cold_start for item in answer) for answer in answers)
    assert shares[0.0] == 0
    assert 1 <= shares[None] <= 4 < shares[1.0]


def test_a_batch_is_its_requests_one_by_one(store: ArtifactStore):
    recommender = load(store)
    histories = [HISTORY, [], ["item1"]]
    one_by_one = [recommender.recommend(history, 5) for history in histories]
    for batch, single in zip(recommender.recommend_batch(histories, 5), one_by_one, strict=True):
        assert [item.item_id for item in batch] == [item.item_id for item in single]
        assert np.allclose([i.score for i in batch], [i.score for i in single], atol=1e-4)


def test_a_filter_keeps_items_out(store: ArtifactStore):
    answer = load(store, ItemFilter(only=["brand=yard"])).recommend(HISTORY, 20, 1.0)
    assert answer
    assert all(ITEM_IDS.index(item.item_id) % 2 for item in answer)


def test_an_unknown_item_is_named_with_near_ones(store: ArtifactStore):
    with pytest.raises(InputError, match=r"Item 'itm3' is not among the 36 items.*'item3'"):
        load(store).recommend(["itm3"])
    with pytest.raises(InputError, match="Its title fits 'item12'"):
        load(store).recommend(["book 12"])


def test_lists_longer_than_the_search_are_refused(store: ArtifactStore):
    with pytest.raises(ConfigurationError, match="20 beams"):
        load(store).recommend(HISTORY, top_k=21)


def test_an_unfinished_variant_is_named_with_the_finished_ones(store: ArtifactStore):
    with pytest.raises(ArtifactError, match=r"tiger run shop other.*store: shop plain"):
        load_recommender("shop", "other", store=store, settings=settings_of())


def test_cold_items_of_another_table_are_refused(tmp_path: Path):
    store = make_store(tmp_path, "decoder")
    table = store.table("semantic_ids", *PARTITION)
    ids = SemanticIds.from_table(read_table(table))
    write_table(
        table,
        SemanticIds.from_codes(
            ids.item_ids.tolist(), ids.codes[::-1].copy(), ids.codebook_sizes
        ).to_table("other"),
    )
    with pytest.raises(ArtifactMismatchError):
        load(store)


def test_without_a_table_of_cold_items_there_are_none(tmp_path: Path):
    store = make_store(tmp_path, "decoder")
    store.table("cold_semantic_ids", *PARTITION).unlink()
    recommender = load(store)
    assert len(recommender.catalog.index) == N_ITEMS
    answer = recommender.recommend(["item3"], 10, epsilon=1.0)
    assert not any(item.is_cold_start for item in answer)
