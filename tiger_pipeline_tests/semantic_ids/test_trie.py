from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from tiger_pipeline.errors import InputError
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import (
    NO_CODE,
    NO_ITEM,
    NO_STATE,
    ROOT,
    SemanticIdTrie,
)
from tiger_pipeline_tests.semantic_ids.catalogs import random_semantic_ids, semantic_id_tables


def paths(semantic_ids: SemanticIds) -> list[tuple[int, ...]]:
    """The tokens of each item: the suffix only where its codes are shared."""
    rows = list(map(tuple, semantic_ids.codes.tolist()))
    return [
        (*row, suffix) if rows.count(row) > 1 else row
        for row, suffix in zip(rows, semantic_ids.suffixes.tolist(), strict=True)
    ]


def dictionary_trie(semantic_ids: SemanticIds) -> dict:
    """The oracle: nested dictionaries with item indices as leaves."""
    trie: dict = {}
    for item, path in enumerate(paths(semantic_ids)):
        node = trie
        for code in path[:-1]:
            node = node.setdefault(code, {})
        node[path[-1]] = item
    return trie


def as_dictionary(trie: SemanticIdTrie, state: int = ROOT) -> "dict | int":
    children = range(trie.first_child[state], trie.first_child[state + 1])
    if not len(children):
        return int(trie.item_of_state[state])
    assert trie.item_of_state[state] == NO_ITEM
    return {int(trie.code_of_state[child]): as_dictionary(trie, child) for child in children}


def padded(path: tuple[int, ...], depth: int) -> list[int]:
    return [*path, *[NO_CODE] * (depth - len(path))]


def test_the_example_of_the_module():
    ids = SemanticIds.from_codes(["a", "b", "c"], np.int32([[1, 0], [1, 2], [3, 1]]), (4, 3))
    trie = SemanticIdTrie.from_semantic_ids(ids)
    assert trie.first_child.tolist() == [1, 3, 5, 6, 6, 6, 6]
    assert trie.code_of_state.tolist() == [-1, 1, 3, 0, 2, 1]
    assert trie.item_of_state.tolist() == [-1, -1, -1, 0, 1, 2]
    assert trie.level_starts.tolist() == [0, 1, 3, 6]
    assert trie.codebook_sizes == (4, 3)
    assert trie.max_branching.tolist() == [2, 2]


def test_only_items_that_share_their_codes_take_a_suffix_step():
    ids = SemanticIds.from_codes(["a", "b", "c"], np.int32([[0], [1], [0]]), (2,))
    trie = SemanticIdTrie.from_semantic_ids(ids)
    assert as_dictionary(trie) == {0: {0: 0, 1: 2}, 1: 1}
    assert trie.codebook_sizes == (2, 2)
    assert trie.depth == 2
    assert trie.max_branching.tolist() == [2, 2]


@given(semantic_id_tables())
@settings(max_examples=80, deadline=None)
def test_is_the_dictionary_trie(semantic_ids):
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    assert as_dictionary(trie) == dictionary_trie(semantic_ids)


@given(semantic_id_tables())
@settings(max_examples=40, deadline=None)
def test_every_item_is_found_exactly_once(semantic_ids):
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    n_items = len(semantic_ids.item_ids)
    ends = trie.item_of_state[trie.item_of_state != NO_ITEM]
    assert sorted(ends.tolist()) == list(range(n_items))
    whole = np.array([padded(path, trie.depth) for path in paths(semantic_ids)])
    assert trie.lookup(whole).tolist() == list(range(n_items))


@given(semantic_id_tables())
@settings(max_examples=40, deadline=None)
def test_states_are_breadth_first_and_lexicographic(semantic_ids):
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    prefixes = {path[:length] for path in paths(semantic_ids) for length in range(len(path) + 1)}
    expected = sorted(prefixes, key=lambda prefix: (len(prefix), prefix))
    found: list[tuple[int, ...]] = [()] * trie.n_states
    for state in range(trie.n_states):
        for child in range(trie.first_child[state], trie.first_child[state + 1]):
            found[child] = (*found[state], int(trie.code_of_state[child]))
    assert found == expected
    lengths = [len(prefix) for prefix in expected]
    starts = [lengths.index(depth) for depth in range(trie.depth + 1)]
    assert trie.level_starts.tolist() == [*starts, trie.n_states]


@given(semantic_id_tables())
@settings(max_examples=40, deadline=None)
def test_dense_and_flat_agree_on_every_edge_and_on_every_missing_one(semantic_ids):
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    dense = trie.dense_next_state()
    assert dense.dtype == np.int32
    assert dense.size == trie.dense_cells
    states, codes = np.divmod(np.arange(dense.size), dense.shape[1])
    np.testing.assert_array_equal(trie.next_states(states, codes), dense.ravel())
    assert (dense != NO_STATE).sum() == trie.n_states - 1


def test_tuples_that_no_item_has_lead_nowhere():
    ids = random_semantic_ids(20, (3, 4), seed=0)
    trie = SemanticIdTrie.from_semantic_ids(ids)
    valid = {tuple(padded(path, trie.depth)): item for item, path in enumerate(paths(ids))}
    every = list(product(*[range(NO_CODE, size + 1) for size in trie.codebook_sizes]))
    expected = [valid.get(path, NO_ITEM) for path in every]
    assert trie.lookup(np.array(every)).tolist() == expected


def test_max_branching_counts_children():
    ids = random_semantic_ids(50, (4, 5, 3), seed=1)
    trie = SemanticIdTrie.from_semantic_ids(ids)
    children = np.diff(trie.first_child)
    for depth in range(trie.depth):
        level = slice(trie.level_starts[depth], trie.level_starts[depth + 1])
        assert trie.max_branching[depth] == children[level].max()


def test_lost_states_stay_lost():
    trie = SemanticIdTrie.from_semantic_ids(random_semantic_ids(5, (3, 3), seed=0))
    states = np.array([NO_STATE, ROOT, ROOT, trie.n_states - 1])
    codes = np.array([0, -1, 99, 0])
    assert trie.next_states(states, codes).tolist() == [NO_STATE] * 4


def test_repeated_semantic_ids_and_empty_tables_are_refused():
    ids = SemanticIds.from_codes(["a", "b", "c"], np.int32([[0], [1], [0]]), (2,))
    with pytest.raises(InputError, match=r"'c' repeats another item's semantic ID \(0, 0\)"):
        SemanticIdTrie.from_semantic_ids(replace(ids, suffixes=np.zeros(3, np.int32)))
    with pytest.raises(InputError, match="at least one item"):
        SemanticIdTrie.from_semantic_ids(random_semantic_ids(0, (2,), seed=0))
