"""What must hold for a semantic-ID table before anything is trained on it."""

from collections.abc import Sequence

import numpy as np

from tiger_pipeline.quantization.code_groups import group_by_codes
from tiger_pipeline.semantic_ids.table import SemanticIds


def find_problems(semantic_ids: SemanticIds, embedded_item_ids: Sequence[str]) -> list[str]:
    """Everything that is wrong with the table, one sentence each; empty if nothing is.

    Args:
        semantic_ids: the table.
        embedded_item_ids: item ids of the embeddings that it was made from, in their order.
    """
    return [
        *_item_problems(semantic_ids, embedded_item_ids),
        *_range_problems(semantic_ids),
        *_uniqueness_problems(semantic_ids),
    ]


def _item_problems(semantic_ids: SemanticIds, embedded_item_ids: Sequence[str]) -> list[str]:
    problems = []
    n_items = len(semantic_ids.item_ids)
    n_distinct = len(set(semantic_ids.item_ids))
    if n_distinct < n_items:
        problems.append(f"{n_items - n_distinct} rows repeat an item id.")
    if n_items != len(embedded_item_ids):
        problems.append(f"{n_items} semantic IDs for {len(embedded_item_ids)} embeddings.")
    else:
        differs = semantic_ids.item_ids != np.asarray(embedded_item_ids, dtype=object)
        if differs.any():
            row = int(np.argmax(differs))
            problems.append(
                f"Row {row} is item {semantic_ids.item_ids[row]!r}, but the embedding of that row "
                f"is of {embedded_item_ids[row]!r}."
            )
    return problems


def _range_problems(semantic_ids: SemanticIds) -> list[str]:
    problems = []
    for level, size in enumerate(semantic_ids.codebook_sizes):
        codes = semantic_ids.codes[:, level]
        outside = (codes < 0) | (codes >= size)
        if outside.any():
            row = int(np.argmax(outside))
            problems.append(
                f"{int(outside.sum())} codes of level {level} are outside 0…{size - 1}, the first "
                f"in row {row} ({codes[row]})."
            )
    if (semantic_ids.suffixes < 0).any():
        problems.append(f"{int((semantic_ids.suffixes < 0).sum())} suffixes are negative.")
    return problems


def _uniqueness_problems(semantic_ids: SemanticIds) -> list[str]:
    whole = np.column_stack([semantic_ids.codes, semantic_ids.suffixes])
    _, starts = group_by_codes(whole)
    repeated = len(whole) - int(starts.sum())
    return [f"{repeated} items repeat another item's semantic ID."] if repeated else []
