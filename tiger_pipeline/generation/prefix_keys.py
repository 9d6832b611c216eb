"""Keys of the prefixes of semantic IDs: what the items below each of them have in common.

A head that only knows codes by number has to memorize which codes may follow which. With these
keys it sees what it chooses between: the score of a code is that of the items behind it. They are
made of the items' vectors anew at every step, so they need no weights, and items that join the
catalog later are seen through the keys above them.
"""

from torch import Tensor

from tiger_pipeline.generation.trie_tensors import SparseTrie

_GATHERED_COST = 16
"""What a product of two gathered vectors costs, in products of vectors inside a matrix product."""


def prefix_keys(trie: SparseTrie, directions: Tensor) -> list[Tensor]:
    """Means of the items' vectors below every state.

    Args:
        trie: of the catalog.
        directions: [n_items, width].

    Returns:
        For each depth from 1, [states at that depth, width].
    """
    keys: list[Tensor] = []
    below: Tensor | None = None
    for depth in range(trie.depth, 0, -1):
        start, stop = trie.level_starts[depth : depth + 2]
        items = trie.item_of_state[start:stop]
        is_leaf = (items >= 0).unsqueeze(-1)
        sums = directions[items.clamp(min=0)] * is_leaf
        if below is not None:
            sums = sums.index_add(0, trie.parent[stop : stop + len(below)] - start, below)
        keys.insert(0, sums / trie.leaves_below[start:stop].unsqueeze(-1))
        below = sums
    return keys


def add_child_scores(
    logits: Tensor,
    trie: SparseTrie,
    depth: int,
    states: Tensor,
    queries: Tensor,
    keys: Tensor,
    offset: Tensor,
) -> Tensor:
    """Add to the logits of the codes that lead on the score of what is behind them.

    Args:
        logits: [users, m, codes].
        trie: of the catalog.
        depth: of `states`.
        states: int64[users, m], or `NO_STATE`.
        queries: [users, width].
        keys: [states at `depth` + 1, width], see `prefix_keys`.
        offset: [], added to every code that leads on.

    Returns:
        [users, m, codes].
    """
    rows, children = trie.children(states.flatten())
    codes = trie.code_of_state[children]
    users, columns = rows // states.shape[1], children - trie.level_starts[depth + 1]
    if len(queries) * len(keys) <= _GATHERED_COST * len(rows):
        scores = (queries @ keys.T)[users, columns]
    else:
        scores = (queries[users] * keys[columns]).sum(-1)
    added = (scores + offset).to(logits.dtype)
    return logits.flatten(0, 1).index_put((rows, codes), added, accumulate=True).view_as(logits)
