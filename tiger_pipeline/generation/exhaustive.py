"""Exact log-probabilities of all items by their codes: the oracle of the beam search.

Every prefix in the trie is extended once for every user, a part of the trie at a time, so that
memory is bounded by the depth of the trie and not by the catalog.
"""

import torch
from torch import Tensor

from tiger_pipeline.generation.generator import Prefixes
from tiger_pipeline.generation.trie_tensors import TrieTensors
from tiger_pipeline.semantic_ids.trie import NO_ITEM, ROOT

_PREFIXES_AT_ONCE = 8192
"""Users × states that are extended together; for each, T5 keeps some 12,000 numbers."""


def all_item_logp(prefixes: Prefixes, trie: TrieTensors) -> Tensor:
    """Log-probability of every semantic ID, added up as the beam search does.

    Args:
        prefixes: one empty prefix a user, as `Generator.encode` returns.
        trie: the semantic IDs.

    Returns:
        float32[users, n_items], −inf for an item without a semantic ID.
    """
    users = len(prefixes.logp)
    scores = torch.full((users, len(trie.leaf_of_item)), -torch.inf, device=trie.device)
    root = torch.full((1,), ROOT, device=trie.device)
    _score_below(prefixes, trie, root, scores.new_zeros((users, 1)), scores)
    return scores


def _score_below(
    prefixes: Prefixes, trie: TrieTensors, states: Tensor, logp: Tensor, scores: Tensor
) -> None:
    """Write the scores of all items below some states of one depth.

    Args:
        prefixes: one for each user and state.
        trie: the semantic IDs.
        states: int64[m], ascending, in which no item ends.
        logp: float32[users, m], of the prefixes as far as they go.
        scores: float32[users, n_items], written to.
    """
    # States are numbered breadth first: the children of neighbors are neighbors.
    first = int(torch.searchsorted(trie.parent, states[0]))
    stop = int(torch.searchsorted(trie.parent, states[-1], right=True))
    parents = torch.searchsorted(states, trie.parent[first:stop])
    codes, items = trie.code_of_state[first:stop], trie.item_of_state[first:stop]
    longer = logp[:, parents] + prefixes.logp[:, parents, codes]
    ends = items != NO_ITEM
    scores[:, items[ends]] = longer[:, ends]
    going_on = torch.nonzero(~ends).squeeze(1)
    at_once = max(1, _PREFIXES_AT_ONCE // max(1, len(logp)))
    for start in range(0, len(going_on), at_once):
        part = going_on[start : start + at_once]
        extended = prefixes.extend(
            parents[part].expand(len(logp), -1), codes[part].expand(len(logp), -1)
        )
        _score_below(extended, trie, first + part, longer[:, part], scores)
