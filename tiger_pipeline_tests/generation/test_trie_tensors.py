import numpy as np
import pytest
import torch

from tiger_pipeline.generation.trie_tensors import DenseTrie, SparseTrie, trie_tensors
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import random_semantic_ids

CPU = torch.device("cpu")


@pytest.mark.parametrize("form", [DenseTrie, SparseTrie])
def test_slots_and_follow_find_a_state_among_its_parents_children(form: type) -> None:
    semantic_ids = random_semantic_ids(5, n_items=40)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    tensors = form(trie, CPU)
    for depth, size in enumerate(trie.codebook_sizes):
        start, stop = trie.level_starts[depth + 1 : depth + 3]
        states = torch.arange(int(start), int(stop))
        parents = tensors.parent[states]
        logp = torch.zeros(len(states), 1, size)
        candidates = tensors.candidates(parents.unsqueeze(1), depth, logp)
        slots = tensors.slots(states)
        rows = torch.arange(len(states))
        assert candidates.states[rows, 0, slots].tolist() == states.tolist()
        assert tensors.follow(parents, tensors.code_of_state[states]).tolist() == states.tolist()
    assert tensors.follow(torch.tensor([-1, 0]), torch.tensor([0, 3])).tolist() == [
        -1,
        4 if np.isin(3, semantic_ids.codes[:, 0]) else -1,
    ]


@pytest.mark.parametrize("form", [DenseTrie, SparseTrie])
def test_the_children_of_a_state_by_hand(form: type) -> None:
    # Items (1, 0), (1, 2), (3, 1): the trie in the docstring of `semantic_ids.trie`.
    codes = np.array([[1, 0], [1, 2], [3, 1]])
    trie = SemanticIdTrie.from_semantic_ids(SemanticIds.from_codes(["a", "b", "c"], codes, (4, 3)))
    tensors = form(trie, CPU)
    assert tensors.leaves_below.tolist() == [3, 2, 1, 1, 1, 1]
    assert tensors.leaf_of_item.tolist() == [3, 4, 5]
    assert tensors.ends_at == [False, False, True]
    logp = torch.tensor([[[-1.0, -2.0, -3.0]] * 3])
    candidates = tensors.candidates(torch.tensor([[1, 2, -1]]), 1, logp)
    found = []
    slots = candidates.logp.shape[-1]
    states, logps = candidates.states[0].tolist(), candidates.logp[0].tolist()
    codes_of_slots = candidates.codes.expand(1, 3, slots)[0].tolist()
    for row in range(3):
        for slot in range(slots):
            if logps[row][slot] > -np.inf:
                found.append((row, states[row][slot], codes_of_slots[row][slot], logps[row][slot]))
            else:
                assert states[row][slot] == -1
    assert found == [(0, 3, 0, -1.0), (0, 4, 2, -3.0), (1, 5, 1, -2.0)]


def test_the_table_is_used_only_where_nearly_every_code_can_follow() -> None:
    full = SemanticIds.from_codes(
        [str(i) for i in range(9)], np.array([[i // 3, i % 3] for i in range(9)]), (3, 3)
    )
    assert isinstance(trie_tensors(SemanticIdTrie.from_semantic_ids(full), CPU), DenseTrie)
    thin = SemanticIds.from_codes(["a", "b"], np.array([[0, 9], [8, 7]]), (10, 10))
    assert isinstance(trie_tensors(SemanticIdTrie.from_semantic_ids(thin), CPU), SparseTrie)
