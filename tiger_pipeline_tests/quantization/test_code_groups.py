import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.quantization.code_groups import group_by_codes


# Four codes of 70,000 do not fit into one number; −2 is no code, but must not upset the order.
@given(
    st.integers(0, 80),
    st.integers(1, 4),
    st.sampled_from([(0, 1), (0, 4), (0, 300), (-2, 3), (69_998, 70_002)]),
    st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_groups_come_in_the_order_of_sorted_tuples(n, levels, code_range, seed):
    codes = np.random.default_rng(seed).integers(*code_range, size=(n, levels)).astype(np.int32)
    order, starts = group_by_codes(codes)
    rows = list(map(tuple, codes.tolist()))
    assert order.tolist() == sorted(range(n), key=lambda row: (rows[row], row))
    ordered = [rows[row] for row in order]
    assert starts.tolist() == [
        place == 0 or ordered[place] != ordered[place - 1] for place in range(n)
    ]


@pytest.mark.parametrize("code", [65_535, 65_536])
def test_codes_of_16_bits_and_more_are_sorted_after_the_small_ones(code):
    order, _ = group_by_codes(np.int32([[code, 0], [0, code], [1, 0]]))
    assert order.tolist() == [1, 2, 0]
