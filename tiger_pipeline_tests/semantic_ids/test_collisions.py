from collections import Counter, defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.semantic_ids.collisions import group_sizes, resolve_collisions


@st.composite
def code_matrices(draw):
    n, levels = draw(st.integers(0, 80)), draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    return generator.integers(0, draw(st.integers(1, 6)), size=(n, levels)).astype(np.int32)


def test_suffixes_by_hand():
    codes = np.int32([[3, 1], [0, 0], [3, 1], [1, 3], [3, 1], [0, 0]])
    assert resolve_collisions(codes).tolist() == [0, 0, 1, 0, 2, 1]
    assert group_sizes(codes).tolist() == [3, 2, 3, 1, 3, 2]


@given(code_matrices())
@settings(max_examples=60, deadline=None)
def test_suffixes_count_up_in_catalog_order_as_a_dictionary_would(codes):
    seen = defaultdict(int)
    expected = []
    for row in map(tuple, codes.tolist()):
        expected.append(seen[row])
        seen[row] += 1
    suffixes = resolve_collisions(codes)
    assert suffixes.dtype == np.int32
    assert suffixes.tolist() == expected


@given(code_matrices())
@settings(max_examples=30, deadline=None)
def test_group_sizes_are_those_of_a_counter(codes):
    counter = Counter(map(tuple, codes.tolist()))
    assert group_sizes(codes).tolist() == [counter[row] for row in map(tuple, codes.tolist())]
