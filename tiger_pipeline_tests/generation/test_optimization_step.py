import numpy as np
import pytest
import torch

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.generation.config import GeneratorConfig, T5Config, TrainingConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.optimization_step import OptimizationStep
from tiger_pipeline.generation.process_group import ALONE
from tiger_pipeline_tests.generation.catalogs import (
    random_histories,
    random_semantic_ids,
    random_text_embeddings,
)
from tiger_pipeline_tests.generation.two_processes import DECODER, ITEM_DECODER

T5 = T5Config(layers=1, width=8, heads=2, head_width=4, mlp_width=8, dropout=0.0, history_items=5)
HISTORIES = random_histories(1, n_users=12, n_items=30)


@pytest.mark.parametrize("config", [DECODER, ITEM_DECODER, T5], ids=lambda config: config.kind)
@pytest.mark.parametrize("tokens", [None, 24], ids=["whole", "in parts"])
def test_a_step_follows_the_gradient_of_the_whole_batch(
    config: GeneratorConfig, tokens: int | None
) -> None:
    text = random_text_embeddings(2) if config.reads_text else None
    model = build_generator(config, random_semantic_ids(2), seed=0, text_embeddings=text).train()
    examples = model.training_examples(HISTORIES)
    rows = np.argsort(examples.lengths, kind="stable")
    model.loss(examples.batch(rows)).backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    expected_loss = model.loss(examples.batch(rows)).item()

    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    parts = []
    model.register_forward_hook(lambda module, inputs, output: parts.append(inputs[0].n_targets))
    training = TrainingConfig(
        tokens_per_batch=10**6, tokens_per_micro_batch=tokens, gradient_clip=1e6
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    step = OptimizationStep(model, optimizer, examples, training, cpu(), ALONE)
    loss, n_targets = step.take(rows, learning_rate=0.5)

    assert len(parts) == 1 if tokens is None else len(parts) > 2
    assert n_targets == sum(parts) == examples.batch(rows).n_targets
    assert loss.item() == pytest.approx(expected_loss, rel=1e-5)
    for name, parameter in model.named_parameters():
        moved = (before[name] - parameter.detach()) / 0.5
        torch.testing.assert_close(moved, expected[name], rtol=1e-3, atol=1e-5)
