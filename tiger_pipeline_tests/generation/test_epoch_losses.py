import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.generation.config import TrainingConfig
from tiger_pipeline.generation.epoch_losses import EpochLosses

BATCHES = st.lists(
    st.tuples(
        st.floats(-(2.0**99), 2.0**99, width=32), st.integers(1, 10**6), st.integers(1, 1000)
    ),
    min_size=1,
    max_size=12,
)


class Task:
    def __init__(self) -> None:
        self.advanced: list[int] = []
        self.losses: list[float] = []

    def advance(self, amount: int = 1, **figures: float) -> None:
        self.advanced.append(amount)
        self.losses.append(figures["loss"])


def losses_of(
    batches: list[tuple[float, int, int]], steps_between_reads: int, task: Task
) -> EpochLosses:
    losses = EpochLosses(4, TrainingConfig(), steps_between_reads, task)
    for loss, n_targets, n_examples in batches:
        losses.add(torch.tensor(loss), n_targets, n_examples)
    return losses


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.integers(1, 15))
def test_the_mean_is_that_of_single_reads_bit_for_bit(
    batches: list[tuple[float, int, int]], steps_between_reads: int
) -> None:
    task = Task()
    mean = losses_of(batches, steps_between_reads, task).mean()
    total, n_targets = 0.0, 0
    for loss, n, _ in batches:
        total, n_targets = total + float(np.float32(loss)) * n, n_targets + n
    assert mean == total / n_targets
    assert sum(task.advanced) == sum(n for _, _, n in batches)
    assert len(task.advanced) == -(-len(batches) // steps_between_reads)
    assert task.losses[-1] == float(np.float32(batches[-1][0]))


@pytest.mark.parametrize("steps_between_reads", [1, 2, 3, 100])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_loss_that_is_not_finite_is_named(bad: float, steps_between_reads: int) -> None:
    batches = [(1.0, 3, 1), (2.0, 3, 1), (bad, 3, 1), (float("nan"), 3, 1), (1.0, 3, 1)]
    with pytest.raises(ConfigurationError, match=f"became {bad} in batch 3 of epoch 5. Lower"):
        losses_of(batches, steps_between_reads, Task()).mean()
