import pytest
import torch
from torch import nn

from tiger_pipeline.generation.weight_average import WeightAverage


def steps(model: nn.Linear, n: int, seed: int) -> list[torch.Tensor]:
    """Move the weights n times at random; what they were after each step."""
    generator = torch.Generator().manual_seed(seed)
    seen = []
    for _ in range(n):
        with torch.no_grad():
            model.weight.add_(torch.randn(model.weight.shape, generator=generator))
        seen.append(model.weight.detach().clone())
    return seen


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_it_is_the_weighted_mean_of_the_definition(decay: float):
    model = nn.Linear(3, 2)
    expected = model.weight.detach().clone()
    average = WeightAverage(model, decay)
    for step, weight in enumerate(steps_with(average, model, 30), start=1):
        at_this_step = min(decay, (1 + step) / (10 + step))
        expected = at_this_step * expected + (1 - at_this_step) * weight
    own = model.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(model.weight.detach(), expected)
    assert torch.equal(model.weight, own)


def steps_with(average: WeightAverage, model: nn.Linear, n: int) -> list[torch.Tensor]:
    seen = []
    for step in range(n):
        seen += steps(model, 1, seed=step)
        average.update()
    return seen


def test_a_restored_average_goes_on_bit_for_bit():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    whole = WeightAverage(model, 0.9)
    steps_with(whole, model, 5)
    state = {name: tensor.clone() for name, tensor in whole.state().items()}
    other = nn.Linear(3, 2)
    resumed = WeightAverage(other, 0.9)
    resumed.restore(state)
    other.load_state_dict(model.state_dict())
    steps_with(whole, model, 7)
    steps_with(resumed, other, 7)
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, resumed.state()[name])


def test_the_networks_own_weights_come_back_after_an_error():
    model = nn.Linear(3, 2)
    average = WeightAverage(model, 0.9)
    [own] = steps(model, 1, seed=0)
    with pytest.raises(KeyboardInterrupt), average.in_place():
        assert not torch.equal(model.weight, own)
        raise KeyboardInterrupt
    assert torch.equal(model.weight, own)
