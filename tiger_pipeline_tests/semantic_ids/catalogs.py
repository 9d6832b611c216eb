"""Random tables of semantic IDs for the tests, with and without collisions."""

import numpy as np
from hypothesis import strategies as st

from tiger_pipeline.semantic_ids.table import SemanticIds


def random_semantic_ids(n_items: int, codebook_sizes: tuple[int, ...], seed: int) -> SemanticIds:
    """`n_items` items with codes drawn uniformly."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, codebook_sizes, size=(n_items, len(codebook_sizes)))
    return SemanticIds.from_codes(
        [f"item_{index}" for index in range(n_items)], codes.astype(np.int32), codebook_sizes
    )


@st.composite
def semantic_id_tables(draw: st.DrawFn) -> SemanticIds:
    """From no collision at all to all items on one tuple."""
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    return random_semantic_ids(draw(st.integers(1, 60)), sizes, draw(st.integers(0, 10_000)))
