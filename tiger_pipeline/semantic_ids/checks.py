"""What must hold for a semantic-ID table before anything is trained on it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tiger_pipeline.quantization.code_groups import group_by_codes
from tiger_pipeline.semantic_ids.cold_table import ColdTable
from tiger_pipeline.semantic_ids.table import SemanticIds


def find_problems(
    semantic_ids: SemanticIds, embedded_item_ids: Sequence[str] | np.ndarray
) -> list[str]:
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


def find_cold_problems(
    warm: SemanticIds,
    table: ColdTable,
    cold_item_ids: Sequence[str],
    earlier: ColdTable | None,
) -> list[str]:
    """Everything that is wrong with a table of cold items' IDs; empty if nothing is.

    Args:
        warm: the warm items' IDs.
        table: the table.
        cold_item_ids: items that are to have a cold ID.
        earlier: the table before; beside the same warm IDs, its rows must be where they were.
    """
    problems = []
    without = set(cold_item_ids).symmetric_difference(table.in_use().item_ids)
    if without:
        problems.append(
            f"{len(without)} items have no cold semantic ID and should, or the reverse, "
            f"among them {min(without)!r}."
        )
    if earlier is not None and earlier.warm_ids == table.warm_ids:
        n_rows = len(earlier.ids.item_ids)
        before, now = (
            (each.ids.item_ids[:n_rows], each.ids.codes[:n_rows], each.ids.suffixes[:n_rows])
            for each in (earlier, table)
        )
        if not all(np.array_equal(old, new) for old, new in zip(before, now, strict=True)):
            problems.append("A semantic ID that was given before has moved.")
    every_id = replace(
        warm,
        item_ids=np.concatenate([warm.item_ids, table.ids.item_ids]),
        codes=np.concatenate([warm.codes, table.ids.codes]),
        suffixes=np.concatenate([warm.suffixes, table.ids.suffixes]),
    )
    return [*problems, *_range_problems(every_id), *_uniqueness_problems(every_id)]


def _item_problems(
    semantic_ids: SemanticIds, embedded_item_ids: Sequence[str] | np.ndarray
) -> list[str]:
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
