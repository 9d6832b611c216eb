"""Items that a user must not be given, as the parts of the trie that are closed to that user."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.trie_tensors import TrieTensors
from tiger_pipeline.semantic_ids.trie import NO_STATE


@dataclass(frozen=True)
class ClosedStates:
    """For each depth, the states that are closed to some users: (user, state) pairs.

    Attributes:
        users: for each depth, int64[m], row of the user in the batch.
        states: for each depth, int64[m].
    """

    users: list[Tensor]
    states: list[Tensor]


def closed_states(seen: Histories, trie: TrieTensors) -> ClosedStates:
    """Close the leaves of seen items, and every prefix whose items were all seen.

    Without the second part, beams would be spent on prefixes that lead nowhere: deep in the trie
    most prefixes stand for one item. Sorted (user, state) keys are counted, depth by depth, so
    time and memory follow the interactions, not users × items.

    Args:
        seen: the items of each user of the batch, in the batch's order; repeats do not matter.
        trie: where to close them.
    """
    device = trie.device
    users = torch.repeat_interleave(torch.arange(len(seen)), torch.from_numpy(seen.lengths))
    items = torch.from_numpy(seen.items).to(device).long()
    n_states = len(trie.item_of_state)
    known = items < len(trie.leaf_of_item)
    leaves = trie.leaf_of_item[items.clamp(max=len(trie.leaf_of_item) - 1)]
    known &= leaves != NO_STATE
    keys = torch.unique(users.to(device)[known] * n_states + leaves[known])
    users, states = keys // n_states, keys % n_states
    counts = torch.ones_like(states)

    closed_users: list[Tensor] = [users[:0]] * (trie.depth + 1)
    closed: list[Tensor] = [states[:0]] * (trie.depth + 1)
    for depth in range(trie.depth, 0, -1):
        here = states >= trie.level_starts[depth]
        keys, group = torch.unique(users[here] * n_states + states[here], return_inverse=True)
        seen_below = torch.zeros_like(keys).index_add_(0, group, counts[here])
        users_here, states_here = keys // n_states, keys % n_states
        full = seen_below == trie.leaves_below[states_here]
        closed_users[depth], closed[depth] = users_here[full], states_here[full]
        users = torch.cat([users[~here], users_here])
        states = torch.cat([states[~here], trie.parent[states_here]])
        counts = torch.cat([counts[~here], seen_below])
    return ClosedStates(closed_users, closed)


def seen_matrix(seen: Histories, n_items: int, device: torch.device) -> Tensor:
    """bool[users, n_items], True for the items of each user's history."""
    users = torch.repeat_interleave(torch.arange(len(seen)), torch.from_numpy(seen.lengths))
    items = torch.from_numpy(seen.items.astype(np.int64))
    matrix = torch.zeros((len(seen), n_items), dtype=torch.bool, device=device)
    matrix[users.to(device), items.to(device)] = True
    return matrix


def close(
    candidates: Tensor, states: Tensor, depth: int, closed: ClosedStates, trie: TrieTensors
) -> None:
    """Set the log-probability of candidates that are closed to their user to −∞, in place.

    Only the pairs themselves are looked for, each among its user's beams, instead of looking every
    candidate up.

    Args:
        candidates: float32[users, beams, slots], of the children of `states`.
        states: int64[users, beams], at `depth`.
        depth: of the beams' states.
        closed: for this batch.
        trie: the form that made the slots.
    """
    users, children = closed.users[depth + 1], closed.states[depth + 1]
    pair, beam = torch.nonzero(states[users] == trie.parent[children].unsqueeze(-1), as_tuple=True)
    candidates[users[pair], beam, trie.slots(children[pair])] = -torch.inf
