import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tiger_pipeline.generation.fast_dropout import FastDropout

N = 400_000


@given(st.lists(st.integers(0, 5), min_size=0, max_size=4), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_what_stays_is_scaled_and_so_is_its_gradient(shape: list[int], p: float) -> None:
    x = torch.full(shape, 3.0, requires_grad=True)
    y = FastDropout(p)(x)
    y.sum().backward()
    assert y.shape == x.shape
    kept = y != 0
    expected = torch.where(kept, 1 / (1 - p), 0.0)
    # The share is rounded to 1/65,536; at 0.99 that changes the scale by less than 0.1%.
    torch.testing.assert_close(x.grad, expected, rtol=1e-3, atol=0)
    torch.testing.assert_close(y, 3 * x.grad, rtol=1e-6, atol=0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_and_the_mean_are_those_of_torch(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(N, dtype=dtype)
    ours, theirs = FastDropout(p)(x), nn.Dropout(p)(x)
    assert ours.dtype == theirs.dtype
    # Five standard deviations of a share of N draws.
    allowed = 5 * (p * (1 - p) / N) ** 0.5
    assert abs((ours == 0).float().mean().item() - p) < allowed
    torch.testing.assert_close(ours.max(), theirs.max(), rtol=1e-3, atol=0)


def test_every_number_is_decided_on_alone() -> None:
    """Neighbours share a draw of 64 bits: none of its quarters may follow from another."""
    torch.manual_seed(0)
    dropped = (FastDropout(0.5)(torch.ones(N)) == 0).double()
    quarters = dropped.view(-1, 4).T
    correlations = torch.corrcoef(quarters) - torch.eye(4)
    assert correlations.abs().max() < 5 * (len(dropped) / 4) ** -0.5
    assert abs(torch.corrcoef(torch.stack([dropped[:-4], dropped[4:]]))[0, 1]) < 5 * N**-0.5


def test_draws_follow_the_seed() -> None:
    x = torch.ones(1000)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(FastDropout(0.3)(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(("p", "training"), [(0.3, False), (0.0, True)])
def test_nothing_is_dropped_or_drawn_where_nothing_is_to_be(p: float, training: bool) -> None:
    x = torch.ones(10)
    before = torch.get_rng_state()
    assert torch.equal(FastDropout(p).train(training)(x), x)
    assert torch.equal(torch.get_rng_state(), before)


def test_all_is_dropped_at_one() -> None:
    assert not FastDropout(1.0)(torch.ones(10)).any()
