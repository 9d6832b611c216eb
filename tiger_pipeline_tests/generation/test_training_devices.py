import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tiger_pipeline.compute_device import choose_device
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.generation.batching import plan_batches
from tiger_pipeline.generation.config import GeneratorConfig, T5Config
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.training import build_optimizer, train_epoch
from tiger_pipeline.progress import NoProgress
from tiger_pipeline_tests.devices import like_gpu, needs_gpu
from tiger_pipeline_tests.generation.test_training import (
    CONFIG,
    GENERATORS,
    SEMANTIC_IDS,
    TRAINING,
    assert_equal_weights,
    cycles,
    train,
)

T5 = T5Config(layers=1, width=16, heads=2, head_width=8, mlp_width=32, history_items=5)


def without_dropout(config: GeneratorConfig) -> GeneratorConfig:
    rates = [name for name in type(config).model_fields if "dropout" in name]
    return config.model_copy(update=dict.fromkeys(rates, 0.0))


@pytest.mark.parametrize("config", GENERATORS)
def test_when_the_losses_are_read_changes_nothing(tmp_path: Path, config: GeneratorConfig) -> None:
    at_once = train(tmp_path / "at once", config=config)
    later = train(tmp_path / "later", config=config, device=like_gpu(dtype=None))
    assert_equal_weights(at_once.model, later.model)
    for row, expected in zip(later.history, at_once.history, strict=True):
        assert row["train_loss"] == expected["train_loss"]


def test_a_loss_that_is_read_late_is_named_as_if_it_were_read_at_once(tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"learning_rate": 1e30, "warmup_share": 0.0})
    messages = []
    for device in (None, like_gpu(dtype=None)):
        with pytest.raises(ConfigurationError, match="became nan in batch") as caught:
            train(tmp_path, training, device=device)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("config", [*GENERATORS, T5], ids=lambda config: config.kind)
def test_trains_in_bfloat16_with_weights_in_float32(
    tmp_path: Path, config: GeneratorConfig
) -> None:
    exact = train(tmp_path / "exact", config=config)
    rounded = train(tmp_path / "rounded", config=config, device=like_gpu())
    losses, expected = ([row["train_loss"] for row in run.history] for run in (rounded, exact))
    assert losses != expected
    assert losses == pytest.approx(expected, rel=0.05)
    assert all(weight.dtype == torch.float32 for weight in rounded.model.parameters())


@needs_gpu
@pytest.mark.parametrize("config", [*GENERATORS, T5], ids=lambda config: config.kind)
def test_a_gpu_trains_as_the_processor_does(tmp_path: Path, config: GeneratorConfig) -> None:
    config = without_dropout(config)
    on_cpu = train(tmp_path / "cpu", config=config)
    on_gpu = train(tmp_path / "gpu", config=config, device=choose_device())
    losses, expected = ([row["train_loss"] for row in run.history] for run in (on_gpu, on_cpu))
    assert losses == pytest.approx(expected, rel=0.05)


@needs_gpu
def test_the_host_does_not_wait_for_the_gpu_at_every_step() -> None:
    device = choose_device()
    model = build_generator(CONFIG, SEMANTIC_IDS, 0).to(device.device)
    optimizer, examples = build_optimizer(model, TRAINING), model.training_examples(cycles())
    training = TRAINING.model_copy(update={"tokens_per_batch": 32})

    def run_epoch() -> None:
        with NoProgress().task("", 0) as task:
            train_epoch(model, optimizer, examples, training, 0, device, task)

    run_epoch()  # what is set up once may wait
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run_epoch()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = sum("synchroniz" in str(warning.message) for warning in caught)
    n_batches = len(plan_batches(examples.lengths, 32, np.random.default_rng(0)))
    assert waits <= n_batches / 4
