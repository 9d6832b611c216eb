"""The exact scores against brute force and against a beam search as wide as the catalog."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.generation import exhaustive
from tiger_pipeline.generation.beam_search import beam_search
from tiger_pipeline.generation.exhaustive import all_item_logp
from tiger_pipeline.generation.trie_tensors import DenseTrie, SparseTrie
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import random_histories, random_semantic_ids
from tiger_pipeline_tests.generation.test_beam_search import (
    CPU,
    brute_force,
    random_prefixes,
    small_model,
    teacher_forced_scores,
)


@given(
    st.integers(0, 10_000),
    st.integers(1, 40),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_it_is_brute_force_and_ranks_as_the_widest_search(
    seed: int, n_items: int, sizes: list[int]
) -> None:
    semantic_ids = random_semantic_ids(seed, n_items, tuple(sizes))
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    prefixes = random_prefixes(trie, users=3, seed=seed, decimals=3)
    dense, sparse = (all_item_logp(prefixes, form(trie, CPU)) for form in (DenseTrie, SparseTrie))
    assert torch.equal(dense, sparse)
    np.testing.assert_allclose(dense, brute_force(semantic_ids, 3, prefixes.of), atol=1e-4)
    found = beam_search(prefixes, SparseTrie(trie, CPU), beams=n_items)
    assert torch.equal(dense.gather(1, found.items), found.logp)


@pytest.mark.parametrize("prefixes_at_once", [1, 7, 10_000])
@torch.no_grad()
def test_parts_of_any_size_give_the_same(
    prefixes_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhaustive, "_PREFIXES_AT_ONCE", prefixes_at_once)
    semantic_ids = random_semantic_ids(1, n_items=25)
    model = small_model(semantic_ids, seed=2)
    histories = random_histories(3, n_users=3, n_items=25)
    trie = SparseTrie(SemanticIdTrie.from_semantic_ids(semantic_ids), CPU)
    prefixes = model.encode(model.history_examples(histories).batch(np.arange(3)))
    expected = teacher_forced_scores(model, semantic_ids, histories)
    np.testing.assert_allclose(all_item_logp(prefixes, trie), expected, rtol=1e-5)
