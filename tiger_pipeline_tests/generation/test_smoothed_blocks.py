import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiger_pipeline.generation.causal_blocks import Block
from tiger_pipeline.generation.config import ItemDecoderConfig
from tiger_pipeline.generation.smoothed_blocks import DECAYS, SmoothedBlock, causal_means

CONFIG = ItemDecoderConfig(width=10, heads=2, dropout=0.0)


def _smoothed(share: float) -> SmoothedBlock:
    torch.manual_seed(0)
    return SmoothedBlock(CONFIG, share).eval()


@given(st.integers(1, 7), st.integers(len(DECAYS), 11), st.integers(0, 2**31 - 1))
def test_means_follow_their_definition(length: int, width: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, length, width))
    decays = np.concatenate(
        [
            np.full(len(part), d)
            for d, part in zip(DECAYS, np.array_split(range(width), len(DECAYS)), strict=True)
        ]
    )
    found = causal_means(torch.from_numpy(x)).numpy()
    for place in range(length):
        weights = decays ** np.arange(place, -1, -1)[:, None]
        expected = (weights * x[:, : place + 1]).sum(1) / weights.sum(0)
        np.testing.assert_allclose(found[:, place], expected, rtol=1e-5, atol=1e-6)


def test_a_constant_sequence_has_no_high_frequencies() -> None:
    x = torch.randn(1, 1, 8).expand(1, 5, 8)
    torch.testing.assert_close(causal_means(x), x)


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_no_position_sees_a_later_one(share: float) -> None:
    block = _smoothed(share)
    x = torch.randn(2, 6, 10)
    changed = x.clone()
    changed[:, 4:] += 1.0
    with torch.no_grad():
        before, after = block(x)[0], block(changed)[0]
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_without_its_share_it_is_a_plain_block() -> None:
    block = _smoothed(0.0)
    plain = Block(CONFIG)
    left = plain.load_state_dict(block.state_dict(), strict=False)
    assert (left.missing_keys, left.unexpected_keys) == ([], ["high_frequencies"])
    x = torch.randn(3, 4, 10)
    with torch.no_grad():
        torch.testing.assert_close(block(x)[0], plain.eval()(x)[0])


def test_the_filter_keeps_low_frequencies_and_weighs_high_ones() -> None:
    block = _smoothed(1.0)
    x = torch.randn(1, 5, 10)
    with torch.no_grad():
        block.mlp[-1].weight.zero_()
        block.mlp[-1].bias.zero_()
        block.high_frequencies.fill_(2.0)
        normed = block.norm_attention(x)
        low = causal_means(normed)
        torch.testing.assert_close(block(x)[0], x + low + 4.0 * (normed - low))
