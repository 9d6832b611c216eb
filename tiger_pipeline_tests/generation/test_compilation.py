import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.generation.compilation import compiled_layers
from tiger_pipeline.generation.config import GeneratorConfig, TrainingConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline_tests.generation.test_training import (
    CONFIG,
    ITEM_CONFIG,
    SEMANTIC_IDS,
    TEXT,
    TRAINING,
    cycles,
    train,
)
from tiger_pipeline_tests.generation.test_training_devices import T5, without_dropout


def losses(config: GeneratorConfig, backend: Any = None) -> list[float]:
    """Of some batches of different sizes."""
    torch._dynamo.reset()
    model = build_generator(config, SEMANTIC_IDS, 0, TEXT if config.reads_text else None)
    examples = model.training_examples(cycles())
    batches = [examples.batch(np.arange(start, start + 5)) for start in (0, 11, 30)]
    model.eval()
    if backend is None:
        return [model(batch).item() for batch in batches]
    with compiled_layers(model, backend):
        return [model(batch).item() for batch in batches]


@pytest.mark.parametrize("config", [CONFIG, ITEM_CONFIG, T5], ids=lambda config: config.kind)
def test_the_layers_are_traced_and_compute_the_same(config: GeneratorConfig) -> None:
    traced = []

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        traced.append(graph)
        return graph.forward

    assert losses(config, backend) == losses(config)
    assert 0 < len(traced) <= 4


def test_a_failing_compiler_is_one_clear_error() -> None:
    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        raise FileNotFoundError("no g++")

    with pytest.raises(ConfigurationError, match=r"no g\+\+.*training\.compile to false"):
        losses(CONFIG, backend)


def test_a_compiled_training_is_another_one_and_others_leave_no_trace() -> None:
    compiled = TRAINING.model_copy(update={"compile": True})
    assert "compile" not in TRAINING.model_dump()
    assert compiled.model_dump() == {**TRAINING.model_dump(), "compile": True}
    assert TrainingConfig(**compiled.model_dump()) == compiled


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_training_learns_the_same(tmp_path: Path) -> None:
    plain, compiled = (
        train(
            tmp_path / str(compile_layers),
            TRAINING.model_copy(update={"compile": compile_layers}),
            config=without_dropout(CONFIG),
        )
        for compile_layers in (False, True)
    )
    for row, expected in zip(compiled.history, plain.history, strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-4)
    assert compiled.model.state_dict().keys() == plain.model.state_dict().keys()
