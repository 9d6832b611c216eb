"""The trie of all valid semantic IDs, as flat arrays made by one sort.

States are numbered breadth first, in lexicographic order, so the children of a state are
consecutive and in the order of their codes:

    items (1, 0), (1, 2), (3, 1)        root 0 ─1→ 1 ─0→ 3
                                               │   └──2→ 4
                                               └3→ 2 ─1→ 5

    first_child   = [1, 3, 5, 6, 6, 6, 6]       children of 1: states 3, 4
    code_of_state = [-1, 1, 3, 0, 2, 1]

An item alone on its codes ends at depth `levels`; only items that share their codes have one
more step, the suffix.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tiger_pipeline.errors import InputError
from tiger_pipeline.quantization.code_groups import group_by_codes
from tiger_pipeline.semantic_ids.table import SemanticIds

NO_STATE = -1
NO_ITEM = -1
NO_CODE = -1
ROOT = 0

DENSE_CELL_LIMIT = 2**27
"""Largest dense table worth its memory (512 MiB of int32); beyond it, use the flat arrays."""


@dataclass(frozen=True)
class SemanticIdTrie:
    """Every valid semantic ID, one state a prefix.

    Attributes:
        first_child: int64[n_states + 1]; the children of state s are the states
            `first_child[s]:first_child[s + 1]`, in ascending order of their codes.
        code_of_state: int32[n_states], code on the edge into the state; `NO_CODE` for the root.
        item_of_state: int32[n_states], the item that ends there, or `NO_ITEM`.
        level_starts: int64[depth + 2]; the states at depth l are
            `level_starts[l]:level_starts[l + 1]`.
        codebook_sizes: vocabulary of each step; a last one for the suffix if any item needs it.
    """

    first_child: np.ndarray
    code_of_state: np.ndarray
    item_of_state: np.ndarray
    level_starts: np.ndarray
    codebook_sizes: tuple[int, ...]

    @classmethod
    def from_semantic_ids(cls, semantic_ids: SemanticIds) -> "SemanticIdTrie":
        """Build the trie by sorting: O(n log n) time, no Python loop over items.

        Raises:
            InputError: there are no items, or two items have the same codes and suffix.
        """
        if not len(semantic_ids.item_ids):
            raise InputError("A trie needs at least one item; this table of semantic IDs is empty.")
        whole = np.column_stack([semantic_ids.codes, semantic_ids.suffixes])
        order, item_starts = group_by_codes(whole)
        if not item_starts.all():
            row = int(order[np.argmin(item_starts)])
            raise InputError(
                f"Item {semantic_ids.item_ids[row]!r} repeats another item's semantic ID "
                f"{tuple(whole[row].tolist())}. Materialize the asset semantic_ids again."
            )
        rows_of_depth, codes_of_depth = _prefixes(
            whole[order], semantic_ids.needs_suffix[order], semantic_ids.levels
        )
        level_starts = np.cumsum([0, *map(len, rows_of_depth)], dtype=np.int64)
        first_child = _first_children(rows_of_depth, level_starts)
        is_leaf = first_child[1:] == first_child[:-1]
        first_row = np.concatenate(rows_of_depth)
        item_of_state = np.where(is_leaf, order[first_row], NO_ITEM).astype(np.int32)
        suffix_sizes = (semantic_ids.suffix_size,) if semantic_ids.suffix_size else ()
        return cls(
            first_child=first_child,
            code_of_state=np.concatenate(codes_of_depth).astype(np.int32),
            item_of_state=item_of_state,
            level_starts=level_starts,
            codebook_sizes=semantic_ids.codebook_sizes + suffix_sizes,
        )

    @property
    def n_states(self) -> int:
        """States, the root included."""
        return len(self.code_of_state)

    @property
    def depth(self) -> int:
        """Steps of the longest semantic ID."""
        return len(self.codebook_sizes)

    @cached_property
    def max_branching(self) -> np.ndarray:
        """int64[depth], most children of any state at each depth."""
        return np.maximum.reduceat(np.diff(self.first_child), self.level_starts[:-2])

    @property
    def dense_cells(self) -> int:
        """Cells of `dense_next_state`; compare with `DENSE_CELL_LIMIT` before making it."""
        return self.n_states * max(self.codebook_sizes)

    def dense_next_state(self) -> np.ndarray:
        """int32[n_states, max(codebook_sizes)], the state behind each code, or `NO_STATE`."""
        table = np.full((self.n_states, max(self.codebook_sizes)), NO_STATE, dtype=np.int32)
        children = np.arange(1, self.n_states)
        table[self._parents, self.code_of_state[1:]] = children
        return table

    def next_states(self, states: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Follow one edge from each state, by binary search in the flat arrays.

        Args:
            states: int[m]; `NO_STATE` stays where it is.
            codes: int[m].

        Returns:
            int64[m], the states reached, `NO_STATE` where there is no such edge.
        """
        width = max(self.codebook_sizes)
        wanted = states.astype(np.int64) * width + codes
        found = np.minimum(np.searchsorted(self._edge_keys, wanted), self.n_states - 2)
        valid = (states >= 0) & (codes >= 0) & (codes < width) & (self._edge_keys[found] == wanted)
        return np.where(valid, found + 1, NO_STATE)

    def lookup(self, codes_with_suffix: np.ndarray) -> np.ndarray:
        """Find the items that semantic IDs stand for.

        Args:
            codes_with_suffix: int[m, depth], `NO_CODE` in the steps that an item does not need.

        Returns:
            int32[m], item indices, `NO_ITEM` for a semantic ID that no item has.
        """
        ended = codes_with_suffix == NO_CODE
        resumed = (ended[:, :-1] & ~ended[:, 1:]).any(axis=1)
        states = np.where(resumed, NO_STATE, ROOT)
        for codes in codes_with_suffix.T:
            states = np.where(codes == NO_CODE, states, self.next_states(states, codes))
        return np.where(states == NO_STATE, NO_ITEM, self.item_of_state[states]).astype(np.int32)

    @cached_property
    def _parents(self) -> np.ndarray:
        """int64[n_states − 1], the parent of every state but the root."""
        return np.repeat(np.arange(self.n_states), np.diff(self.first_child))

    @cached_property
    def _edge_keys(self) -> np.ndarray:
        """int64[n_states − 1], (parent, code) as one number; ascending, as states are ordered."""
        return self._parents * max(self.codebook_sizes) + self.code_of_state[1:]


def _prefixes(
    ordered: np.ndarray, needs_suffix: np.ndarray, levels: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The distinct prefixes of each length, the empty one included.

    Args:
        ordered: int32[n, levels + 1], codes and suffix, sorted lexicographically.
        needs_suffix: bool[n], in that order.
        levels: codes an item has.

    Returns:
        For each depth, the first row int64[states] of each prefix and its last code.
    """
    rows = [np.zeros(1, dtype=np.int64)]
    codes = [np.array([NO_CODE], dtype=np.int32)]
    starts = np.zeros(len(ordered), dtype=bool)
    starts[0] = True
    for level in range(levels):
        starts[1:] |= ordered[1:, level] != ordered[:-1, level]
        rows.append(np.flatnonzero(starts))
        codes.append(ordered[rows[-1], level])
    if needs_suffix.any():
        rows.append(np.flatnonzero(needs_suffix))
        codes.append(ordered[rows[-1], levels])
    return rows, codes


def _first_children(rows_of_depth: list[np.ndarray], level_starts: np.ndarray) -> np.ndarray:
    """int64[n_states + 1]: the first state of the next depth that begins in a state's rows."""
    n_states = level_starts[-1]
    first_child = np.full(n_states + 1, n_states, dtype=np.int64)
    for depth in range(len(rows_of_depth) - 1):
        states = slice(level_starts[depth], level_starts[depth + 1])
        first_child[states] = level_starts[depth + 1] + np.searchsorted(
            rows_of_depth[depth + 1], rows_of_depth[depth]
        )
    return first_child
