import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from tiger_pipeline.quantization.vae.sinkhorn import even_codes, sinkhorn_plan


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000), st.integers(8, 40), st.integers(2, 8))
@settings(max_examples=25, deadline=None)
def test_marginals_are_uniform(seed, rows, columns):
    plan = sinkhorn_plan(draw(seed, rows, columns), epsilon=0.3)
    torch.testing.assert_close(plan.sum(dim=0), torch.full((columns,), 1 / columns))
    torch.testing.assert_close(plan.sum(dim=1), torch.full((rows,), 1 / rows), rtol=1e-2, atol=0)


def test_the_plan_is_that_of_log_domain_iterations_in_float64():
    costs = 3 * draw(1, 30, 6) + 5
    scaled = costs.double().numpy()
    scaled = -(scaled - scaled.min()) / (scaled.max() - scaled.min()) * 2 / 0.1
    f, g = np.zeros((30, 1)), np.zeros((1, 6))
    for _ in range(50):
        f = -np.log(30) - logsumexp(scaled + g, axis=1, keepdims=True)
        g = -np.log(6) - logsumexp(scaled + f, axis=0, keepdims=True)
    np.testing.assert_allclose(sinkhorn_plan(costs, 0.1), np.exp(f + scaled + g), rtol=1e-3)


def test_codes_are_even_and_nearly_the_cheapest_even_ones():
    costs = draw(2, 64, 8) + torch.linspace(0, 1, 8)
    codes = even_codes(costs, epsilon=0.05)
    assert np.bincount(codes, minlength=8).max() <= 10
    assert np.bincount(costs.argmin(dim=1), minlength=8).max() > 20
    places = np.repeat(costs.numpy(), 8, axis=1)
    best = places[linear_sum_assignment(places)].sum()
    assert costs[torch.arange(64), codes].sum() <= 1.1 * best


def test_extreme_costs_stay_finite():
    for costs in (1e6 * draw(3, 50, 8), torch.zeros(50, 8), 1e-30 * draw(4, 50, 8)):
        assert torch.isfinite(sinkhorn_plan(costs, epsilon=0.003)).all()
