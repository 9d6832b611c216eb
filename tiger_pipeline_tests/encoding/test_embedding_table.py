import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.encoding.embedding_table import (
    check_coverage,
    check_embeddings,
    describe_ids,
    list_array_of,
    select_items,
    vectors_of,
    warm_embeddings,
)
from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError, InputError
from tiger_pipeline.storage.tables import metadata_of, with_metadata


def table_of(vectors: np.ndarray, item_ids: list[str]) -> pa.Table:
    return pa.table(
        {"item_id": pa.array(item_ids, pa.string()), "embedding": list_array_of(vectors)}
    )


@pytest.fixture
def vectors():
    return np.arange(1, 13, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def table(vectors):
    return with_metadata(table_of(vectors, ["a", "b", "c", "d"]), {"dimension": 3})


def test_vectors_make_the_round_trip_without_a_copy(table, vectors):
    read = vectors_of(table)
    np.testing.assert_array_equal(read, vectors)
    assert np.shares_memory(read, vectors)


def test_vectors_of_slices_and_chunks(table, vectors):
    np.testing.assert_array_equal(vectors_of(table.slice(1, 2)), vectors[1:3])
    chunked = pa.concat_tables([table.slice(2), table.slice(0, 2)])
    np.testing.assert_array_equal(vectors_of(chunked), vectors[[2, 3, 0, 1]])
    assert vectors_of(table.slice(0, 0)).shape == (0, 3)


def test_vectors_of_a_column_with_nulls_or_another_type():
    nulls = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    with pytest.raises(ArtifactError, match="1 nulls"):
        vectors_of(pa.table({"embedding": nulls}))
    with pytest.raises(ArtifactError, match="list<"):
        vectors_of(pa.table({"embedding": pa.array([[1.0], [2.0, 3.0]])}))


def test_a_sound_table_has_no_problems(table):
    assert check_embeddings(table, ["a", "b", "c", "d"]) == []


def test_every_problem_is_named(vectors):
    bad = np.concatenate([vectors, np.zeros((1, 3), np.float32)])
    bad[1, 2] = np.nan
    bad[2, 0] = -np.inf
    table = with_metadata(table_of(bad, ["a", "b", "c", "a", "e"]), {"dimension": 4})
    assert check_embeddings(table, ["a", "b", "c", "d"]) == [
        "1 item ids occur more than once: 'a'.",
        "1 items have no embedding: 'd'.",
        "1 embeddings are of no item in the catalog: 'e'.",
        "The embeddings have 3 numbers instead of 4.",
        "2 embeddings contain NaN or infinity: 'b', 'c'.",
        "1 embeddings are zero: 'e'.",
    ]


def test_a_column_of_another_type_is_a_problem():
    table = pa.table({"item_id": ["a"], "embedding": pa.array([[1.0]])})
    (problem,) = check_embeddings(table, ["a"])
    assert "must be fixed_size_list<float32>" in problem


def test_many_ids_are_shortened():
    assert describe_ids([str(index) for index in range(7)]) == "'0', '1', '2', '3', '4' and 2 more"


def test_items_are_selected_in_the_order_asked_for(table, vectors):
    selected = select_items(table, pa.array(["d", "a"]))
    assert selected["item_id"].to_pylist() == ["d", "a"]
    np.testing.assert_array_equal(vectors_of(selected), vectors[[3, 0]])
    assert metadata_of(selected) == {"dimension": 3}


def test_an_item_without_embedding_is_named(table):
    with pytest.raises(ArtifactMismatchError, match="1 items have no embedding: 'x'"):
        select_items(table, pa.array(["a", "x"]))


def test_warm_items_stay_in_the_catalogs_order(table, vectors):
    items = pa.table({"item_id": ["c", "a", "d", "b"], "n_interactions": [2, 1, 0, 5]})
    warm = warm_embeddings(table, items)
    assert warm["item_id"].to_pylist() == ["c", "a", "b"]
    np.testing.assert_array_equal(vectors_of(warm), vectors[[2, 0, 1]])
    assert metadata_of(warm) == {"dimension": 3}


def test_without_any_interaction_there_is_nothing_to_train_on(table):
    items = pa.table({"item_id": ["a"], "n_interactions": [0]})
    with pytest.raises(InputError, match="No item has an interaction"):
        warm_embeddings(table, items)


def test_items_of_interactions_without_embedding_are_named(table):
    assert check_coverage(table, pa.table({"item_id": ["a", "b", "a"]})) == []
    assert check_coverage(table, pa.table({"item_id": ["a", "x", "x", "y"]})) == [
        "2 items of interactions have no embedding: 'x', 'y'."
    ]
