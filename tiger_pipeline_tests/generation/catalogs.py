"""Small random catalogs and histories for the tests of this folder."""

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.semantic_ids.table import SemanticIds


def random_semantic_ids(
    seed: int, n_items: int = 30, codebook_sizes: tuple[int, ...] = (4, 3, 3)
) -> SemanticIds:
    """Codes drawn at random: with few codewords, many items share them."""
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(size, size=n_items) for size in codebook_sizes])
    return SemanticIds.from_codes([f"i{k}" for k in range(n_items)], codes, codebook_sizes)


def histories_of(sequences: list[list[int]]) -> Histories:
    lengths = [len(sequence) for sequence in sequences]
    return Histories(
        users=np.arange(len(sequences), dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=np.array([item for sequence in sequences for item in sequence], dtype=np.int32),
    )


def random_histories(seed: int, n_users: int, n_items: int, longest: int = 9) -> Histories:
    """Sequences of 0 to `longest` items."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest + 1, n_users)
    return histories_of([rng.integers(n_items, size=length).tolist() for length in lengths])


def random_text_embeddings(seed: int, n_items: int = 30, width: int = 6) -> np.ndarray:
    """One an item, off center and of a scale of their own, as those of language models are."""
    return np.random.default_rng(seed).normal(0.3, 0.1, (n_items, width)).astype(np.float32)
