import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.generation.batching import plan_batches
from tiger_pipeline.storage.training_state import epoch_seed


@given(st.lists(st.integers(1, 50), max_size=80), st.integers(16, 200), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_every_example_is_in_one_batch_within_the_budget(
    lengths: list[int], budget: int, seed: int
) -> None:
    array = np.array(lengths, dtype=np.int64)
    batches = plan_batches(array, budget, np.random.default_rng(seed))
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * array[batch].max() <= budget


def test_batches_are_full_and_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 5000)
    batches = plan_batches(lengths, 1024, np.random.default_rng(1))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.02 * lengths.sum()
    assert len(batches) < 1.05 * lengths.sum() / 1024 + 5


def test_epochs_differ_and_repeat_by_seed() -> None:
    lengths = np.random.default_rng(0).integers(1, 20, 200)

    def plan(epoch: int) -> list[list[int]]:
        rng = np.random.default_rng(epoch_seed(7, epoch))
        return [batch.tolist() for batch in plan_batches(lengths, 64, rng)]

    assert plan(3) == plan(3)
    assert plan(3) != plan(4)
    assert epoch_seed(7, 3) != epoch_seed(3, 7)
