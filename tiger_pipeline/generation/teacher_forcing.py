"""Log-probabilities of given items' semantic IDs, without a search."""

import torch
from torch import Tensor

from tiger_pipeline.generation.generator import Prefixes
from tiger_pipeline.generation.trie_tensors import TrieTensors
from tiger_pipeline.semantic_ids.trie import NO_CODE


def codes_of_items(trie: TrieTensors) -> Tensor:
    """int64[n_items, depth], the codes on each item's way from the root; then `NO_CODE`."""
    codes = torch.full((len(trie.leaf_of_item), trie.depth), NO_CODE, device=trie.device)
    states = trie.leaf_of_item
    for depth in range(trie.depth, 0, -1):
        here = states >= trie.level_starts[depth]
        codes[here, depth - 1] = trie.code_of_state[states[here]]
        states = torch.where(here, trie.parent[states], states)
    return codes


def semantic_id_logp(prefixes: Prefixes, codes: Tensor) -> Tensor:
    """Log-probability of whole semantic IDs, as the beam search adds it up.

    Args:
        prefixes: one empty prefix a user, as `Generator.encode` returns.
        codes: int64[users, m, depth], `NO_CODE` in the steps that an item does not need.

    Returns:
        float32[users, m].
    """
    total = prefixes.logp.new_zeros(codes.shape[:2])
    parents = torch.zeros_like(codes[:, :, 0])
    for depth in range(codes.shape[2]):
        chosen = codes[:, :, depth]
        if not (chosen != NO_CODE).any():
            break
        if depth > 0:
            prefixes = prefixes.extend(parents, codes[:, :, depth - 1].clamp(min=0))
            parents = torch.arange(chosen.shape[1], device=codes.device).expand_as(chosen)
        rows = prefixes.logp.expand(-1, chosen.shape[1], -1)
        logp = rows.gather(2, chosen.clamp(min=0).unsqueeze(2)).squeeze(2)
        total = total + logp.masked_fill(chosen == NO_CODE, 0)
    return total
