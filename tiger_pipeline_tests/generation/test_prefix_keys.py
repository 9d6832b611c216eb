import numpy as np
import pytest
import torch

from tiger_pipeline.generation.prefix_keys import add_child_scores, prefix_keys
from tiger_pipeline.generation.trie_tensors import SparseTrie
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import NO_STATE, SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import random_semantic_ids
from tiger_pipeline_tests.generation.item_decoders import whole_semantic_id

SEMANTIC_IDS = random_semantic_ids(0)
TRIE = SemanticIdTrie.from_semantic_ids(SEMANTIC_IDS)
N_ITEMS = len(SEMANTIC_IDS.item_ids)


def sparse_trie() -> SparseTrie:
    return SparseTrie(TRIE, torch.device("cpu"))


def states_of(prefixes: list[tuple[int, ...]]) -> list[int]:
    """By walking the trie."""
    states = []
    for prefix in prefixes:
        state = np.zeros(1, dtype=np.int64)
        for code in prefix:
            state = TRIE.next_states(state, np.array([code]))
        states.append(int(state[0]))
    return states


def items_with(prefix: tuple[int, ...], semantic_ids: SemanticIds) -> list[int]:
    ids = (whole_semantic_id(semantic_ids, item) for item in range(N_ITEMS))
    return [item for item, codes in enumerate(ids) if codes[: len(prefix)] == prefix]


def test_a_key_is_the_mean_of_the_items_below() -> None:
    directions = torch.randn(N_ITEMS, 4, generator=torch.Generator().manual_seed(0))
    trie = sparse_trie()
    keys = prefix_keys(trie, directions)
    assert [len(k) for k in keys] == np.diff(trie.level_starts)[1:].tolist()
    prefixes = {
        codes[:length]
        for codes in (whole_semantic_id(SEMANTIC_IDS, item) for item in range(N_ITEMS))
        for length in range(1, len(codes) + 1)
    }
    assert len(prefixes) == TRIE.n_states - 1
    for prefix in prefixes:
        (state,) = states_of([prefix])
        key = keys[len(prefix) - 1][state - trie.level_starts[len(prefix)]]
        mean = directions[items_with(prefix, SEMANTIC_IDS)].mean(0)
        torch.testing.assert_close(key, mean)


@pytest.mark.parametrize("n_users", [1, 200])  # few products are gathered, many are made at once
def test_only_codes_that_lead_on_are_raised_by_offset_and_score(n_users: int) -> None:
    generator = torch.Generator().manual_seed(1)
    trie = sparse_trie()
    keys = prefix_keys(trie, torch.randn(N_ITEMS, 4, generator=generator))
    first = [int(code) for code in SEMANTIC_IDS.codes[:3, 0]]
    states = torch.tensor([[*states_of([(code,) for code in first]), NO_STATE]] * n_users)
    queries = torch.randn(n_users, 4, generator=generator)
    logits = torch.randn(n_users, 4, SEMANTIC_IDS.codebook_sizes[1], generator=generator)

    raised = add_child_scores(logits, trie, 1, states, queries, keys[1], torch.tensor(2.0))

    expected = logits.clone()
    for column, code in enumerate(first):
        for other in range(logits.shape[2]):
            if items_with((code, other), SEMANTIC_IDS):
                (state,) = states_of([(code, other)])
                key = keys[1][state - trie.level_starts[2]]
                expected[:, column, other] += 2 + queries @ key
    torch.testing.assert_close(raised, expected)


def test_the_gathered_and_the_whole_product_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    trie = sparse_trie()
    keys = prefix_keys(trie, torch.randn(N_ITEMS, 4, generator=generator))
    states = torch.zeros((3, 1), dtype=torch.int64)
    queries = torch.randn(3, 4, generator=generator)
    logits = torch.zeros(3, 1, SEMANTIC_IDS.codebook_sizes[0])
    results = []
    for cost in (0, 10**9):
        monkeypatch.setattr("tiger_pipeline.generation.prefix_keys._GATHERED_COST", cost)
        offset = torch.tensor(0.5)
        results.append(add_child_scores(logits, trie, 0, states, queries, keys[0], offset))
    torch.testing.assert_close(*results)
