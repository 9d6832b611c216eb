"""An exponential moving average of a network's weights, kept beside its training.

Polyak & Juditsky 1992: the average of the last steps is better than the last step, as the noise of
single batches cancels. In its first steps an average over all of the past would be one over fresh
weights, so the decay of step t is min(decay, (1 + t) / (10 + t)).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_STEPS = "steps"


class WeightAverage:
    """The average of a network's parameters over its optimization steps.

    Args:
        model: whose parameters are averaged; they stay where they are.
        decay: weight of the average against the newest weights, below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._parameters = dict(model.named_parameters())
        self._decay = decay
        self._steps = 0
        self._average = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after another optimization step."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(
            list(self._average.values()), list(self._parameters.values()), 1 - decay
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network have the averaged weights for a while, then its own again."""
        own = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._put(self._average)
        try:
            yield
        finally:
            self._put(own)

    def state(self) -> dict[str, Tensor]:
        """All that a resumed training needs of it."""
        return {**self._average, _STEPS: torch.tensor(self._steps)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self._steps = int(state[_STEPS])
        for name, average in self._average.items():
            average.copy_(state[name])

    @torch.no_grad()
    def _put(self, weights: dict[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(weights[name])
