"""The trie of semantic IDs as tensors, in the two forms that a beam search expands."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.semantic_ids.trie import (
    DENSE_CELL_LIMIT,
    NO_STATE,
    ROOT,
    SemanticIdTrie,
)


@dataclass(frozen=True)
class Candidates:
    """Continuations of prefixes by one code.

    Attributes:
        logp: float32[users, prefixes, slots] of the code; −inf in a slot that holds no child.
        states: int[users, prefixes, slots], the state behind it, or `NO_STATE`.
        codes: int64, broadcastable to the same shape.
    """

    logp: Tensor
    states: Tensor
    codes: Tensor


class TrieTensors(ABC):
    """Both forms list the children of a state in the order of their codes.

    Attributes:
        device: where the tensors are.
        depth: steps of the longest semantic ID.
        item_of_state: int64[n_states], the item that ends in a state, or −1.
        parent: int64[n_states], `NO_STATE` for the root.
        code_of_state: int64[n_states], −1 for the root.
        level_starts: depth l has the states `level_starts[l]` … `level_starts[l + 1]` − 1.
        ends_at: for each depth from 0, whether some item ends there.
        leaf_of_item: int64[items], the state where an item ends, `NO_STATE` for one without.
        leaves_below: int64[n_states], items that end in a state or below it.
    """

    def __init__(self, trie: SemanticIdTrie, device: torch.device) -> None:
        self.device = device
        self.depth = trie.depth
        self.level_starts = [int(start) for start in trie.level_starts]
        self.item_of_state = self._tensor(trie.item_of_state)
        self.code_of_state = self._tensor(trie.code_of_state)
        parent = np.repeat(np.arange(trie.n_states), np.diff(trie.first_child))
        self.parent = self._tensor(np.concatenate([[NO_STATE], parent]))
        is_leaf = trie.item_of_state >= 0
        leaf_of_item = np.full(trie.n_items, NO_STATE)
        leaf_of_item[trie.item_of_state[is_leaf]] = np.flatnonzero(is_leaf)
        self.leaf_of_item = self._tensor(leaf_of_item)
        self.leaves_below = self._tensor(leaves_below(trie))
        self.ends_at = [
            bool(is_leaf[start:stop].any()) for start, stop in pairwise(self.level_starts)
        ]

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(self.device)

    @abstractmethod
    def candidates(self, states: Tensor, depth: int, logp: Tensor) -> Candidates:
        """The children of `states`.

        Args:
            states: int64[users, prefixes], each at `depth` or `NO_STATE`.
            depth: of all of them.
            logp: float32[users, prefixes, codes] of the next code.
        """

    def edge_logp(self, predicted: Tensor, following: Tensor) -> Tensor:
        """Log-probabilities of edges, from those that a generator predicts of their codes.

        Args:
            predicted: float32 of any shape.
            following: int64 of the same shape, the states behind the edges.
        """
        return predicted

    @abstractmethod
    def slots(self, states: Tensor) -> Tensor:
        """The slot among its parent's candidates in which each state (int64[m]) stands."""

    @abstractmethod
    def follow(self, states: Tensor, codes: Tensor) -> Tensor:
        """The state behind each code: `NO_STATE` where there is none; int64 of the same shape."""


def leaves_below(trie: SemanticIdTrie) -> np.ndarray:
    """int64[n_states], items that end in a state or below it."""
    parent = np.repeat(np.arange(trie.n_states), np.diff(trie.first_child))  # not of the root
    counts = (trie.item_of_state >= 0).astype(np.int64)
    for start, stop in zip(trie.level_starts[-2:0:-1], trie.level_starts[:1:-1], strict=True):
        np.add.at(counts, parent[start - 1 : stop - 1], counts[start:stop])
    return counts


class DenseTrie(TrieTensors):
    """A table of the next state for each state and code: a slot for every code of the level.

    Not for tries with parallel edges (those of cold items that share their codes).
    """

    def __init__(self, trie: SemanticIdTrie, device: torch.device) -> None:
        super().__init__(trie, device)
        self._next_state = torch.from_numpy(trie.dense_next_state()).to(device)

    def candidates(self, states: Tensor, depth: int, logp: Tensor) -> Candidates:
        """See `TrieTensors.candidates`."""
        size = logp.shape[-1]
        following = self._next_state[states.clamp(min=ROOT)][..., :size]
        following = following.masked_fill((states == NO_STATE).unsqueeze(-1), NO_STATE)
        codes = torch.arange(size, device=self.device)
        return Candidates(logp.masked_fill(following == NO_STATE, -torch.inf), following, codes)

    def slots(self, states: Tensor) -> Tensor:
        """See `TrieTensors.slots`."""
        return self.code_of_state[states]

    def follow(self, states: Tensor, codes: Tensor) -> Tensor:
        """See `TrieTensors.follow`."""
        following = self._next_state[states.clamp(min=ROOT), codes].long()
        return following.masked_fill(states == NO_STATE, NO_STATE)


class SparseTrie(TrieTensors):
    """The flat arrays themselves: as many slots as any state of the depth has children."""

    def __init__(self, trie: SemanticIdTrie, device: torch.device) -> None:
        super().__init__(trie, device)
        self._first_child = self._tensor(trie.first_child)
        self._max_branching = [int(n) for n in trie.max_branching]
        self._code_range = max(trie.codebook_sizes)
        self._edge_keys = self.parent[1:] * self._code_range + self.code_of_state[1:]

    def candidates(self, states: Tensor, depth: int, logp: Tensor) -> Candidates:
        """See `TrieTensors.candidates`."""
        alive = states.clamp(min=ROOT)
        first = self._first_child[alive].unsqueeze(-1)
        stop = self._first_child[alive + 1].masked_fill(states == NO_STATE, 0).unsqueeze(-1)
        following = first + torch.arange(self._max_branching[depth], device=self.device)
        missing = following >= stop
        following = following.masked_fill(missing, NO_STATE)
        codes = self.code_of_state[following].masked_fill(missing, 0)
        along = self.edge_logp(logp.gather(-1, codes), following)
        return Candidates(along.masked_fill(missing, -torch.inf), following, codes)

    def children(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """All children of all `states` (int64[m], or `NO_STATE`), one after the other.

        Returns:
            Rows int64[k] of `states`, ascending, and their children int64[k], in the order of
            their codes.
        """
        alive = states.clamp(min=ROOT)
        first = self._first_child[alive]
        counts = (self._first_child[alive + 1] - first).masked_fill(states == NO_STATE, 0)
        rows = torch.repeat_interleave(torch.arange(len(states), device=self.device), counts)
        before = counts.cumsum(0) - counts
        within = torch.arange(len(rows), device=self.device) - before[rows]
        return rows, first[rows] + within

    def slots(self, states: Tensor) -> Tensor:
        """See `TrieTensors.slots`."""
        return states - self._first_child[self.parent[states]]

    def follow(self, states: Tensor, codes: Tensor) -> Tensor:
        """See `TrieTensors.follow`."""
        wanted = states * self._code_range + codes
        found = torch.searchsorted(self._edge_keys, wanted).clamp(max=len(self._edge_keys) - 1)
        missing = (states == NO_STATE) | (self._edge_keys[found] != wanted)
        return (found + 1).masked_fill(missing, NO_STATE)


def trie_tensors(trie: SemanticIdTrie, device: torch.device) -> TrieTensors:
    """The form with the cheaper search; both find the same.

    A step costs time by the slots it chooses from. The dense form has one for every code of the
    level, the sparse one as many as the widest state has children, but looks their codes up. So
    the dense form is for tries with room for its table in which nearly every code can follow.
    A table has no room for parallel edges.
    """
    if trie.has_parallel_edges:
        return SparseTrie(trie, device)
    dense_slots, sparse_slots = sum(trie.codebook_sizes), int(trie.max_branching.sum())
    if trie.dense_cells <= DENSE_CELL_LIMIT and dense_slots <= 1.5 * sparse_slots:
        return DenseTrie(trie, device)
    return SparseTrie(trie, device)
