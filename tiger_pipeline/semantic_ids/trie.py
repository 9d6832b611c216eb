"""The trie of all valid semantic IDs, as flat arrays made by one sort.

States are numbered breadth first, in lexicographic order, so the children of a state are
consecutive and in the order of their codes:

    items (1, 0), (1, 2), (3, 1)        root 0 ─1→ 1 ─0→ 3
                                               │   └──2→ 4
                                               └3→ 2 ─1→ 5

    first_child   = [1, 3, 5, 6, 6, 6, 6]       children of 1: states 3, 4
    code_of_state = [-1, 1, 3, 0, 2, 1]

An item alone on its codes ends at depth `levels`; only warm items that share their codes have one
more step, the suffix, as the generator learned it.

A cold item (see `table`) always ends at depth `levels`, in a state of its own, even where another
item has the same codes: its edge then is parallel to another, with the same code, and comes after
that of the warm items. So a search finds it with the probability of its codes, after the warm item
of the same probability; following codes from the root leads to the first of parallel edges.
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
        n_items: items of the table, withdrawn ones included, which end in no state.
    """

    first_child: np.ndarray
    code_of_state: np.ndarray
    item_of_state: np.ndarray
    level_starts: np.ndarray
    codebook_sizes: tuple[int, ...]
    n_items: int

    @classmethod
    def from_semantic_ids(cls, semantic_ids: SemanticIds) -> "SemanticIdTrie":
        """Build the trie by sorting: O(n log n) time, no Python loop over items.

        Withdrawn items are left out.

        Raises:
            InputError: there are no items, or two items have the same codes and suffix.
        """
        available = np.flatnonzero(semantic_ids.is_available)
        if not len(available):
            raise InputError("A trie needs at least one item; this table of semantic IDs has none.")
        order = available[_sorted_rows(semantic_ids, available)]
        rows_of_depth, codes_of_depth = _prefixes(semantic_ids, order)
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
            n_items=len(semantic_ids.item_ids),
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

    @cached_property
    def has_parallel_edges(self) -> bool:
        """Whether some state has two children with the same code, so that a table cannot do."""
        return bool((self._edge_keys[1:] == self._edge_keys[:-1]).any())

    @property
    def dense_cells(self) -> int:
        """Cells of `dense_next_state`; compare with `DENSE_CELL_LIMIT` before making it."""
        return self.n_states * max(self.codebook_sizes)

    def dense_next_state(self) -> np.ndarray:
        """int32[n_states, max(codebook_sizes)], the state behind each code, or `NO_STATE`.

        Raises:
            ValueError: the trie has parallel edges.
        """
        if self.has_parallel_edges:
            raise ValueError("A table holds one state a code; this trie has parallel edges.")
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


def _sorted_rows(semantic_ids: SemanticIds, rows: np.ndarray) -> np.ndarray:
    """Places in `rows` in the order of the items' IDs; of equal codes the warm items first.

    Raises:
        InputError: two of the items have the same ID.
    """
    # A cold item's suffix is larger than that of every warm item with the same codes.
    whole = np.column_stack([semantic_ids.codes[rows], semantic_ids.suffixes[rows]])
    order, starts = group_by_codes(whole)
    if not starts.all():
        row = int(rows[order[np.argmin(starts)]])
        raise InputError(
            f"Item {semantic_ids.item_ids[row]!r} repeats another item's semantic ID "
            f"{(*semantic_ids.codes[row].tolist(), int(semantic_ids.suffixes[row]))}. "
            "Materialize the asset semantic_ids again."
        )
    return order


def _prefixes(
    semantic_ids: SemanticIds, order: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The prefixes of each length, the empty one included; cold items' whole codes each anew.

    Args:
        semantic_ids: the table.
        order: int64[n], its available items, sorted lexicographically by their IDs.

    Returns:
        For each depth, the first place in `order`, int64[states], of each prefix and its last code.
    """
    codes = semantic_ids.codes[order]
    places = [np.zeros(1, dtype=np.int64)]
    last_codes = [np.array([NO_CODE], dtype=np.int32)]
    starts = np.zeros(len(order), dtype=bool)
    starts[0] = True
    for level in range(semantic_ids.levels):
        starts[1:] |= codes[1:, level] != codes[:-1, level]
        if level == semantic_ids.levels - 1:
            starts |= semantic_ids.is_cold[order]
        places.append(np.flatnonzero(starts))
        last_codes.append(codes[places[-1], level])
    if semantic_ids.suffix_size:
        places.append(np.flatnonzero(semantic_ids.needs_suffix[order]))
        last_codes.append(semantic_ids.suffixes[order[places[-1]]])
    return places, last_codes


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
