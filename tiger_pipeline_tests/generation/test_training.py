from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, cpu
from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.generation.config import (
    DecoderConfig,
    GeneratorConfig,
    ItemDecoderConfig,
    TrainingConfig,
)
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.training import (
    TrainingResult,
    build_optimizer,
    learning_rate_at,
    train_generator,
    training_fingerprint,
)
from tiger_pipeline.progress import NoProgress
from tiger_pipeline_tests.devices import threads
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_semantic_ids,
    random_text_embeddings,
)

CONFIG = DecoderConfig(blocks=1, width=16, heads=2, dropout=0.2, history_items=5)
ITEM_CONFIG = ItemDecoderConfig(blocks=1, width=16, heads=2, dropout=0.2, history_items=5)
GENERATORS: list[GeneratorConfig] = [CONFIG, ITEM_CONFIG]
TRAINING = TrainingConfig(
    max_epochs=4, tokens_per_batch=256, learning_rate=0.01, validate_every=1, patience=9, seed=3
)
AVERAGED = TRAINING.model_copy(update={"ema_decay": 0.9})
SEMANTIC_IDS = random_semantic_ids(2)
TEXT = random_text_embeddings(2)


class Notes(NoProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def note(self, message: str) -> None:
        self.messages.append(message)


def cycles(n_users: int = 60) -> Histories:
    """Item i is followed by item i + 1: easy to learn."""
    rng = np.random.default_rng(0)
    starts = rng.integers(30, size=n_users)
    return histories_of([[(start + step) % 30 for step in range(8)] for start in starts])


def train(
    folder: Path,
    training: TrainingConfig = TRAINING,
    values: list[float] | None = None,
    stop_after: int | None = None,
    notes: Notes | None = None,
    config: GeneratorConfig = CONFIG,
    device: ComputeDevice | None = None,
) -> TrainingResult:
    """Train with given validation values; `stop_after` epochs, the process is killed."""
    calls = 0

    def validate(model: Generator) -> dict[str, float]:
        nonlocal calls
        calls += 1
        assert not model.training
        if stop_after is not None and calls > stop_after:
            raise KeyboardInterrupt
        # Validation may draw random numbers: training must not depend on it.
        torch.rand(5)
        return {"ndcg@10": values[calls - 1] if values else 0.1 * calls}

    return train_generator(
        config,
        training,
        SEMANTIC_IDS,
        cycles(),
        validate,
        folder,
        device or cpu(),
        notes or Notes(),
        text_embeddings=TEXT if config.reads_text else None,
    )


def assert_equal_weights(one: Generator, other: Generator) -> None:
    for (name, first), second in zip(
        one.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(first, second), name


@pytest.mark.parametrize("config", GENERATORS)
def test_the_loss_falls_and_the_history_tells_it(tmp_path: Path, config: GeneratorConfig) -> None:
    training = TRAINING.model_copy(update={"max_epochs": 12, "validate_every": 5})
    result = train(tmp_path, training, config=config)
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < 0.75 * losses[0]
    assert [row["epoch"] for row in result.history] == list(range(1, 13))
    validated = [row["epoch"] for row in result.history if row["valid_ndcg@10"] is not None]
    assert validated == [5, 10, 12]
    assert result.best_epoch == 12
    assert result.parameters == sum(p.numel() for p in result.model.parameters())
    assert result.seconds == pytest.approx(sum(row["seconds"] for row in result.history))
    assert not result.model.training


@pytest.mark.parametrize(
    ("config", "training"), [*((config, TRAINING) for config in GENERATORS), (CONFIG, AVERAGED)]
)
def test_an_interrupted_training_ends_with_the_same_weights(
    tmp_path: Path, config: GeneratorConfig, training: TrainingConfig
) -> None:
    whole = train(tmp_path / "whole", training, config=config)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", training, stop_after=2, config=config)
    notes = Notes()
    resumed = train(tmp_path / "killed", training, [0.3, 0.4], notes=notes, config=config)
    assert notes.messages[0] == "Training goes on after epoch 2."
    assert_equal_weights(whole.model, resumed.model)
    for row, expected in zip(resumed.history, whole.history, strict=True):
        assert row["train_loss"] == expected["train_loss"]
        assert row["learning_rate"] == expected["learning_rate"]


@pytest.mark.parametrize("config", GENERATORS)
def test_several_threads_leave_nothing_to_chance(tmp_path: Path, config: GeneratorConfig) -> None:
    wide = config.model_copy(update={"width": 128})
    training = TRAINING.model_copy(update={"tokens_per_batch": 2048, "max_epochs": 6})
    with threads(4):
        one, other = (train(tmp_path / name, training, config=wide) for name in ("a", "b"))
    assert_equal_weights(one.model, other.model)


def test_the_best_epochs_weights_are_kept_even_over_an_interruption(tmp_path: Path) -> None:
    best = train(
        tmp_path / "a", TRAINING.model_copy(update={"max_epochs": 4}), [0.1, 0.5, 0.2, 0.3]
    )
    assert best.best_epoch == 2
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b", values=[0.1, 0.5, 0.2], stop_after=3)
    resumed = train(tmp_path / "b", values=[0.3])
    assert resumed.best_epoch == 2
    assert_equal_weights(best.model, resumed.model)


def test_the_average_is_validated_and_kept_and_changes_no_training(tmp_path: Path) -> None:
    validated: list[dict[str, torch.Tensor]] = []

    def validate(model: Generator) -> dict[str, float]:
        validated.append({k: v.clone() for k, v in model.state_dict().items()})
        return {"ndcg@10": 0.1 * len(validated)}

    results = [
        train_generator(CONFIG, training, SEMANTIC_IDS, cycles(), validate, folder, cpu())
        for training, folder in ((TRAINING, tmp_path / "a"), (AVERAGED, tmp_path / "b"))
    ]
    plain, averaged = results
    losses = [[row["train_loss"] for row in result.history] for result in results]
    assert losses[0] == losses[1]
    last_plain, last_averaged = validated[3], validated[7]
    for name, weights in averaged.model.state_dict().items():
        assert torch.equal(weights, last_averaged[name])
        assert torch.equal(plain.model.state_dict()[name], last_plain[name])
        assert not torch.equal(weights, last_plain[name])


def test_what_is_off_is_no_part_of_the_fingerprint() -> None:
    inputs = (SEMANTIC_IDS, cycles())
    before = TRAINING.model_dump()
    assert before.pop("ema_decay") is None
    fingerprints = {
        training_fingerprint(CONFIG, training, *inputs) for training in (TRAINING, AVERAGED)
    }
    assert len(fingerprints) == 2
    assert TRAINING.model_dump(exclude_none=True) == before


def test_how_a_batch_is_divided_is_no_part_of_the_fingerprint() -> None:
    in_parts = TRAINING.model_copy(update={"tokens_per_micro_batch": 32})
    assert training_fingerprint(CONFIG, in_parts, SEMANTIC_IDS, cycles()) == training_fingerprint(
        CONFIG, TRAINING, SEMANTIC_IDS, cycles()
    )
    assert in_parts.model_dump() == {**TRAINING.model_dump(), "tokens_per_micro_batch": 32}
    assert "tokens_per_micro_batch" not in TRAINING.model_dump()


def test_stops_when_the_best_is_too_long_ago(tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"max_epochs": 9, "patience": 2})
    result = train(tmp_path, training, [0.1, 0.2, 0.2, 0.15, 0.9])
    assert (len(result.history), result.best_epoch) == (4, 2)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first = train(tmp_path)
    again = train(tmp_path, stop_after=0)
    assert_equal_weights(first.model, again.model)
    assert again.history == first.history


def test_other_text_is_another_training() -> None:
    fingerprints = {
        training_fingerprint(ITEM_CONFIG, TRAINING, SEMANTIC_IDS, cycles(), text)
        for text in (TEXT, TEXT + 1)
    }
    assert len(fingerprints) == 2


@pytest.mark.parametrize("damage", ["other settings", "torn file"])
def test_a_state_that_does_not_fit_is_not_resumed(tmp_path: Path, damage: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop_after=2)
    training = TRAINING
    if damage == "other settings":
        training = TRAINING.model_copy(update={"weight_decay": 0.5})
    else:
        (tmp_path / "epoch_state" / "record.json").write_text("{")
    notes = Notes()
    result = train(tmp_path, training, notes=notes)
    assert "is not resumed" in notes.messages[0]
    assert len(result.history) == 4
    assert_equal_weights(result.model, train(tmp_path / "fresh", training).model)


def test_the_learning_rate_warms_up_and_falls() -> None:
    training = TRAINING.model_copy(
        update={"warmup_share": 0.2, "final_learning_rate_share": 0.1, "learning_rate": 1.0}
    )
    rates = [learning_rate_at(share, training) for share in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.55, 0.1])
    assert learning_rate_at(0.0, training.model_copy(update={"warmup_share": 0.0})) == 1.0


def test_biases_and_norms_do_not_decay() -> None:
    optimizer = build_optimizer(build_generator(CONFIG, SEMANTIC_IDS, 0), TRAINING)
    decays = {
        parameter.ndim: group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert decays == {2: TRAINING.weight_decay, 1: 0.0}


def test_a_loss_that_is_not_finite_is_named(tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"learning_rate": 1e30, "warmup_share": 0.0})
    with pytest.raises(ConfigurationError, match=r"became nan in batch \d+ .*learning_rate"):
        train(tmp_path, training)


def test_no_interaction_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No user has a training interaction"):
        train_generator(
            CONFIG, TRAINING, SEMANTIC_IDS, histories_of([[], []]), lambda _: {}, tmp_path, cpu()
        )


def test_progress_counts_every_sequence_of_every_epoch(tmp_path: Path) -> None:
    class Counted(Notes):
        def __init__(self) -> None:
            super().__init__()
            self.total = self.done = 0

        def task(self, name: str, total: int, unit: str = "steps") -> AbstractContextManager[Any]:
            self.total = total
            return _Counter(self)

    progress = Counted()
    train(tmp_path, notes=progress)
    assert progress.done == progress.total > 0


class _Counter:
    def __init__(self, progress: Any) -> None:
        self._progress = progress

    def __enter__(self) -> "_Counter":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, amount: int = 1, **figures: float) -> None:
        self._progress.done += amount
