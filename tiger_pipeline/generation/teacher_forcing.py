"""Log-probabilities of given items' semantic IDs, without a search."""

import torch
from torch import Tensor

from tiger_pipeline.generation.generator import Prefixes
from tiger_pipeline.generation.trie_tensors import TrieTensors
from tiger_pipeline.semantic_ids.trie import NO_STATE, ROOT


def states_of_items(trie: TrieTensors) -> Tensor:
    """int64[n_items, depth + 1], the states from the root to each item; then `NO_STATE`."""
    ways = torch.full((len(trie.leaf_of_item), trie.depth + 1), NO_STATE, device=trie.device)
    states = trie.leaf_of_item
    for depth in range(trie.depth, -1, -1):
        here = states >= trie.level_starts[depth]
        ways[here, depth] = states[here]
        states = torch.where(here, trie.parent[states], states)
    return ways


def semantic_id_logp(prefixes: Prefixes, trie: TrieTensors, ways: Tensor) -> Tensor:
    """Log-probability of whole semantic IDs, as the beam search adds it up.

    Candidates that share a prefix share its extension: a user's candidates are likely items, and
    these have codes in common.

    Args:
        prefixes: one empty prefix a user, as `Generator.encode` returns.
        trie: the semantic IDs.
        ways: int64[users, m, depth + 1], of the candidates, as in `states_of_items`.

    Returns:
        float32[users, m].
    """
    total = prefixes.logp.new_zeros(ways.shape[:2])
    users = torch.arange(len(ways), device=ways.device).unsqueeze(1)
    places = torch.zeros_like(ways[:, :, 0])
    for depth in range(trie.depth):
        following = ways[:, :, depth + 1]
        ended = following == NO_STATE
        if ended.all():
            break
        if depth > 0:
            states = ways[:, :, depth].masked_fill(ended, ROOT)
            distinct, parents, places = _distinct(states, places)
            prefixes = prefixes.extend(parents, trie.code_of_state[distinct].clamp(min=0))
        codes = trie.code_of_state[following.clamp(min=ROOT)].clamp(min=0)
        along = trie.edge_logp(prefixes.logp[users, places, codes], following)
        total = total + along.masked_fill(ended, 0)
    return total


def _distinct(states: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct states of each row.

    Args:
        states: int64[n, m].
        places: int64[n, m], the same for equal states of a row.

    Returns:
        Distinct states int64[n, k] and their places int64[n, k], `ROOT` and 0 at the end of rows
        with fewer, and the column int64[n, m] among them of each of `states`.
    """
    ordered, order = states.sort(dim=1)
    is_new = torch.ones_like(ordered)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    column = is_new.cumsum(1) - 1
    width = int(column[:, -1].max()) + 1
    distinct = torch.full_like(states[:, :width], ROOT).scatter_(1, column, ordered)
    their_places = torch.zeros_like(distinct).scatter_(1, column, places.gather(1, order))
    return distinct, their_places, torch.empty_like(column).scatter_(1, order, column)
