from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.semantic_ids.checks import find_cold_problems
from tiger_pipeline.semantic_ids.cold_table import (
    ColdTable,
    Version,
    grown_semantic_ids,
    timestamp,
)
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import NO_ITEM, SemanticIdTrie
from tiger_pipeline_tests.semantic_ids.catalogs import random_semantic_ids

WARM = SemanticIds.from_codes(["a", "b", "c"], np.int32([[0, 1], [0, 1], [1, 0]]), (2, 2))
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def append(table: ColdTable, item_ids: list[str], codes: list[list[int]], version: int):
    grown = table.appended(WARM, item_ids, np.int32(codes), [f"of {i}" for i in item_ids], version)
    entry = Version(version, timestamp(NOON), len(item_ids), 0, 0, 0, 0, 0, table.warm_ids)
    return replace(grown, history=(*grown.history, entry))


TABLE = append(
    append(ColdTable.empty(WARM), ["x", "y"], [[0, 1], [1, 0]], 1), ["z", "w"], [[0, 1], [1, 1]], 2
)


def test_suffixes_are_the_next_free_ones():
    assert TABLE.ids.suffixes.tolist() == [2, 1, 3, 0]
    assert TABLE.versions.tolist() == [1, 1, 2, 2]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=5), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_no_id_moves_and_none_is_given_twice(sizes: list[int], seed: int):
    every = random_semantic_ids(10 + sum(sizes), (2, 3), seed)
    warm = SemanticIds.from_codes(every.item_ids[:10].tolist(), every.codes[:10], (2, 3))
    table, row, seen = ColdTable.empty(warm), 10, {}
    for version, size in enumerate(sizes, start=1):
        rows = slice(row, row + size)
        hashes = [""] * size
        table = table.appended(
            warm, every.item_ids[rows].tolist(), every.codes[rows], hashes, version
        )
        row += size
        given_ids = dict(
            zip(
                table.ids.item_ids,
                map(tuple, np.column_stack([table.ids.codes, table.ids.suffixes]).tolist()),
                strict=True,
            )
        )
        assert seen.items() <= given_ids.items()
        seen = given_ids
    warm_ids = set(map(tuple, np.column_stack([warm.codes, warm.suffixes]).tolist()))
    assert len(warm_ids.union(seen.values())) == 10 + sum(sizes)


def test_it_survives_being_a_table():
    read = ColdTable.from_table(TABLE.to_table())
    assert read.fingerprint == TABLE.fingerprint
    assert read.history == TABLE.history
    assert read.to_table().equals(TABLE.to_table(), check_metadata=True)
    assert read.to_table()["joined_at"][0].as_py() == NOON


def test_the_fingerprint_sees_withdrawals_and_rows():
    withdrawn = replace(TABLE, warm_withdrawn=("a",))
    fewer = replace(TABLE, withdrawn_in=np.int32([0, 2, 0, 0]))
    assert len({TABLE.fingerprint, withdrawn.fingerprint, fewer.fingerprint}) == 3


def test_growing_keeps_what_the_generator_learned():
    grown = grown_semantic_ids(WARM, TABLE.to_table())
    assert grown.item_ids.tolist() == ["a", "b", "c", "x", "y", "z", "w"]
    assert grown.needs_suffix.tolist() == [True, True, *[False] * 5]
    assert grown.suffix_size == WARM.suffix_size == 2
    assert grown.is_cold.tolist() == [False] * 3 + [True] * 4


def test_every_cold_item_has_a_leaf_of_its_own_behind_the_warm_ones():
    trie = SemanticIdTrie.from_semantic_ids(grown_semantic_ids(WARM, TABLE.to_table()))
    assert trie.codebook_sizes == SemanticIdTrie.from_semantic_ids(WARM).codebook_sizes
    assert trie.has_parallel_edges
    level = slice(trie.level_starts[2], trie.level_starts[3])
    # Below (0,): the group of a and b, then x and z; below (1,): c, then y; then w.
    assert trie.code_of_state[level].tolist() == [1, 1, 1, 0, 0, 1]
    assert trie.item_of_state[level].tolist() == [NO_ITEM, 3, 5, 2, 4, 6]
    with pytest.raises(ValueError, match="parallel"):
        trie.dense_next_state()


def test_withdrawn_items_leave_the_trie_and_the_rest_keep_their_places():
    table = replace(TABLE, withdrawn_in=np.int32([2, 0, 0, 0]), warm_withdrawn=("b", "a"))
    grown = table.grow(WARM)
    assert grown.item_ids.tolist() == ["a", "b", "c", "y", "z", "w"]
    trie = SemanticIdTrie.from_semantic_ids(grown)
    assert trie.codebook_sizes == (2, 2, 2)
    assert sorted(trie.item_of_state[trie.item_of_state >= 0].tolist()) == [2, 3, 4, 5]
    assert trie.n_items == 6


def test_the_check_finds_what_has_moved_or_is_missing():
    assert find_cold_problems(WARM, TABLE, ["x", "y", "z", "w"], TABLE) == []
    moved = replace(TABLE, ids=replace(TABLE.ids, suffixes=np.int32([3, 1, 2, 0])))
    assert any("moved" in p for p in find_cold_problems(WARM, moved, ["x", "y", "z", "w"], TABLE))
    assert "'q'" in find_cold_problems(WARM, TABLE, ["x", "y", "z", "w", "q"], None)[0]


def test_what_does_not_belong_together_is_refused():
    other = SemanticIds.from_codes(["a", "b"], np.int32([[0, 1], [1, 1]]), (2, 2))
    with pytest.raises(ArtifactMismatchError, match="beside other warm ones"):
        TABLE.grow(other)
    with pytest.raises(ArtifactMismatchError, match="do not go together"):
        replace(TABLE, ids=replace(TABLE.ids, suffixes=np.int32([5, 1, 3, 0]))).appended(
            WARM, [], np.empty((0, 2), np.int32), [], 3
        )
    with pytest.raises(ArtifactError, match="has no 'history'"):
        ColdTable.from_table(TABLE.to_table().replace_schema_metadata(None))
    with pytest.raises(ArtifactMismatchError, match="'a' has a semantic ID as a warm item"):
        WARM.grown(WARM)
