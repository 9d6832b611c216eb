"""The two tries of a grown table of semantic IDs: that of the warm items, and that of the cold.

A search of one trie of all items would let cold items take the places of warm ones, and the other
way round, before anyone could choose how many of each to recommend. Apart, the warm items are
found as if no item had ever come, and the best cold ones are found however low they rank.
"""

from dataclasses import dataclass, replace

import numpy as np

from tiger_pipeline.errors import InputError
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie


@dataclass(frozen=True)
class ColdItemTries:
    """What a search of cold items needs.

    Attributes:
        trie: of the cold items that may be recommended.
        trained: of all items that the generator was trained on; see `cold_trie`.
    """

    trie: SemanticIdTrie
    trained: SemanticIdTrie


def catalog_tries(
    semantic_ids: SemanticIds, allowed: np.ndarray | None = None
) -> tuple[SemanticIdTrie, ColdItemTries | None]:
    """The tries of the warm and of the cold items that may be recommended.

    Args:
        semantic_ids: of all items; withdrawn ones are left out.
        allowed: bool[n_items], further items that are left out have False. None: all are allowed.

    Returns:
        The trie of the warm items; those of the cold ones, or None where there are none.

    Raises:
        InputError: no warm item may be recommended.
    """
    available = (
        semantic_ids.is_available if allowed is None else semantic_ids.is_available & allowed
    )
    warm, cold = available & ~semantic_ids.is_cold, available & semantic_ids.is_cold
    if not warm.any():
        raise InputError(
            "No item that the generator was trained on may be recommended: all are withdrawn or "
            "left out by the filter. Widen the filter."
        )
    warm_trie = _trie_of(semantic_ids, warm)
    if not cold.any():
        return warm_trie, None
    trained = SemanticIdTrie.from_semantic_ids(semantic_ids.warm)
    return warm_trie, ColdItemTries(_trie_of(semantic_ids, cold), trained)


def _trie_of(semantic_ids: SemanticIds, wanted: np.ndarray) -> SemanticIdTrie:
    if wanted.all():
        return SemanticIdTrie.from_semantic_ids(semantic_ids)
    others = frozenset(semantic_ids.item_ids[~wanted].tolist())
    return SemanticIdTrie.from_semantic_ids(replace(semantic_ids, withdrawn=others))
