import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.generation.exclusion import closed_states
from tiger_pipeline.generation.trie_tensors import DenseTrie
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import random_histories, random_semantic_ids

CPU = torch.device("cpu")


@given(st.integers(0, 10_000), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_a_state_is_closed_when_all_items_below_it_were_seen(seed: int, n_items: int) -> None:
    semantic_ids = random_semantic_ids(seed, n_items)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    seen = random_histories(seed, n_users=4, n_items=n_items, longest=25)
    closed = closed_states(seen, DenseTrie(trie, CPU))

    items_below: dict[int, set[int]] = {state: set() for state in range(trie.n_states)}
    for state in range(trie.n_states - 1, -1, -1):
        if trie.item_of_state[state] >= 0:
            items_below[state].add(int(trie.item_of_state[state]))
        for child in range(trie.first_child[state], trie.first_child[state + 1]):
            items_below[state] |= items_below[child]
    expected = {
        (user, state)
        for user in range(4)
        for state in range(1, trie.n_states)
        if items_below[state] <= set(seen[user].tolist())
    }
    found = {
        pair
        for users, states in zip(closed.users, closed.states, strict=True)
        for pair in zip(users.tolist(), states.tolist(), strict=True)
    }
    assert found == expected
