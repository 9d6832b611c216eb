"""A search among cold and withdrawn items, against the ranking of every item by brute force."""

import numpy as np
import pytest
import torch

from tiger_pipeline.generation.beam_search import beam_search
from tiger_pipeline.generation.exclusion import closed_states
from tiger_pipeline.generation.teacher_forcing import semantic_id_logp, states_of_items
from tiger_pipeline.generation.tokens import ItemTokenizer
from tiger_pipeline.generation.trie_tensors import SparseTrie, trie_tensors
from tiger_pipeline.semantic_ids.cold_table import ColdTable
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import histories_of, random_semantic_ids
from tiger_pipeline_tests.generation.test_beam_search import random_prefixes

USERS = 3


def grown_table(seed: int) -> tuple[SemanticIds, SemanticIds]:
    every = random_semantic_ids(seed, 40, (3, 4))
    warm = SemanticIds.from_codes(every.item_ids[:20].tolist(), every.codes[:20], (3, 4))
    table = ColdTable.empty(warm).appended(
        warm, every.item_ids[20:].tolist(), every.codes[20:], [""] * 20, 1
    )
    return warm, warm.grown(table.ids, withdrawn={"i3", "i25"})


def logp_of(prefixes, ids: SemanticIds, user: int, item: int) -> float:
    suffix = [ids.suffixes[item]] if ids.needs_suffix[item] else []
    codes = np.array([*ids.codes[item], *suffix])
    return sum(prefixes.of(user, codes[:level])[code] for level, code in enumerate(codes))


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_search_ranks_every_available_item(seed: int):
    warm, ids = grown_table(seed)
    trie = SemanticIdTrie.from_semantic_ids(ids)
    assert trie.codebook_sizes == SemanticIdTrie.from_semantic_ids(warm).codebook_sizes
    tensors = trie_tensors(trie, torch.device("cpu"))
    assert isinstance(tensors, SparseTrie)
    prefixes = random_prefixes(trie, USERS, seed, decimals=6)
    seen = [[0, 21, 3], [5], []]
    closed = closed_states(histories_of(seen), tensors)
    found = beam_search(prefixes, tensors, 40, closed)
    for user in range(USERS):
        allowed = [
            item for item in np.flatnonzero(ids.is_available).tolist() if item not in seen[user]
        ]
        expected = {item: logp_of(prefixes, ids, user, item) for item in allowed}
        items = found.items[user][found.items[user] >= 0].tolist()
        assert sorted(items) == allowed
        scores = found.logp[user][: len(items)].tolist()
        assert scores == pytest.approx([expected[item] for item in items], abs=1e-5)
        assert scores == sorted(scores, reverse=True)


def test_scores_without_a_search_are_the_same():
    _, ids = grown_table(0)
    trie = SemanticIdTrie.from_semantic_ids(ids)
    tensors = trie_tensors(trie, torch.device("cpu"))
    prefixes = random_prefixes(trie, USERS, 0, decimals=6)
    items = torch.tensor([[0, 20, 21, 39, 1]] * USERS)
    logp = semantic_id_logp(prefixes, tensors, states_of_items(tensors)[items])
    for user in range(USERS):
        expected = [logp_of(prefixes, ids, user, item) for item in items[user].tolist()]
        assert logp[user].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_vocabulary_is_that_of_the_warm_items():
    warm, ids = grown_table(0)
    tokenizer, trained = ItemTokenizer(ids), ItemTokenizer(warm)
    assert tokenizer.vocabulary == trained.vocabulary
    assert tokenizer.item_lengths[:20].tolist() == trained.item_lengths.tolist()
    assert set(tokenizer.item_lengths[20:].tolist()) == {2}
