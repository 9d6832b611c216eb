"""How probable a generator finds an item that it never saw: by the codes it shares with others.

TIGER (Rajput et al. 2023, arXiv:2305.05065, §4.3) retrieves, with a generated semantic ID, the item
that has it and "unseen items with the same first three tokens", all but the suffix. So a cold item
on the codes of a warm one is as probable as that one. But most new items have codes that no item
of the training has in this combination, and to these a generator gives next to nothing: it has
learned which combinations exist. Here, such an item is known by the longest prefix of its codes
that the training has seen, down to none: it is as probable as the mean warm item with that prefix,

    logp(item) = logp(prefix) − log(number of warm items with that prefix),

which for a prefix of all codes that one warm item has is the published rule.
"""

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.generation.trie_tensors import SparseTrie, leaves_below
from tiger_pipeline.semantic_ids.trie import NO_ITEM, NO_STATE, ROOT, SemanticIdTrie


class ColdTrie(SparseTrie):
    """The trie of cold items, its edges weighed by what the training has seen."""

    def __init__(self, trie: SemanticIdTrie, trained: SemanticIdTrie, device: torch.device) -> None:
        """Put the trie on a device.

        Args:
            trie: of the cold items that may be found.
            trained: of all items that the generator was trained on.
            device: of the generator.
        """
        super().__init__(trie, device)
        parent = self.parent.cpu().numpy()
        seen_as = _states_in(trained, trie, parent)
        is_seen = seen_as != NO_STATE
        items_below = leaves_below(trained)
        # The prefix ends with the last edge, or before the first that the training has not seen.
        complete = is_seen & (trie.item_of_state != NO_ITEM)
        broken = ~is_seen & is_seen[parent]
        added = np.zeros(len(parent), dtype=np.float32)
        added[complete] = -np.log(items_below[seen_as[complete]])
        added[broken] = -np.log(items_below[seen_as[parent[broken]]])
        self._is_seen = torch.from_numpy(is_seen).to(device)
        self._added = torch.from_numpy(added).to(device)

    def edge_logp(self, predicted: Tensor, following: Tensor) -> Tensor:
        """See `TrieTensors.edge_logp`."""
        following = following.clamp(min=ROOT)
        return predicted.masked_fill(~self._is_seen[following], 0) + self._added[following]


def _states_in(trained: SemanticIdTrie, trie: SemanticIdTrie, parent: np.ndarray) -> np.ndarray:
    """int64[n_states], the state of `trained` with the same prefix as each of `trie`'s, if any."""
    found = np.full(trie.n_states, NO_STATE, dtype=np.int64)
    found[ROOT] = ROOT
    for depth in range(1, trie.depth + 1):
        states = slice(trie.level_starts[depth], trie.level_starts[depth + 1])
        found[states] = trained.next_states(found[parent[states]], trie.code_of_state[states])
    return found
