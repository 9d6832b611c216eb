from pathlib import Path

import numpy as np
import pytest
import torch

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation.baselines.sasrec import Sasrec, SasrecRecommender, build_sasrec
from tiger_pipeline.evaluation.baselines.sasrec_checkpoint import (
    load_sasrec,
    read_sasrec_description,
    sasrec_fingerprint,
    save_sasrec,
)
from tiger_pipeline.evaluation.config import SasrecConfig, SasrecTrainingConfig
from tiger_pipeline.evaluation.metrics import target_ranks
from tiger_pipeline.generation.training import train_network
from tiger_pipeline.generation.training_state import TrainingRecord
from tiger_pipeline_tests.evaluation.synthetic import histories_of, random_sequences

N_ITEMS = 30
CONFIG = SasrecConfig(
    width=16,
    heads=2,
    dropout=0.1,
    history_items=6,
    training=SasrecTrainingConfig(
        max_epochs=6, tokens_per_batch=128, learning_rate=0.02, validate_every=1, seed=3
    ),
)


@pytest.fixture
def model() -> Sasrec:
    model = build_sasrec(CONFIG, N_ITEMS).eval()
    with torch.no_grad():
        # Fresh weights give nearly uniform items: sharpen them.
        model.item_embedding.weight.mul_(20)
    return model


def logp_after(model: Sasrec, history: list[int]) -> torch.Tensor:
    """Of the next item, from the history alone and unpadded."""
    items = torch.tensor([history[-CONFIG.history_items :]], dtype=torch.int64)
    return model.item_logits(model.hidden(items)[0, -1]).log_softmax(-1)


@torch.no_grad()
def test_the_loss_is_the_mean_over_every_item_given_those_before_it(model: Sasrec):
    histories = histories_of([3, 1, 4, 1, 5], [9], [], [2, 6, 5])
    examples = model.training_examples(histories)
    batch = examples.batch(np.arange(len(examples.lengths)))
    losses = [
        -logp_after(model, list(history[:place]))[item].item()
        for history in ([3, 1, 4, 1, 5], [9], [2, 6, 5])
        for place, item in enumerate(history)
    ]
    assert batch.n_targets == len(losses) == 9
    assert model.loss(batch).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_each_target_of_a_long_history_is_counted_once(model: Sasrec):
    items = np.random.default_rng(0).integers(N_ITEMS, size=50).tolist()
    examples = model.training_examples(histories_of(items))
    assert len(examples.lengths) > 1
    batch = examples.batch(np.arange(len(examples.lengths)))
    assert sorted(batch.targets.tolist()) == sorted(items)


@torch.no_grad()
@pytest.mark.parametrize("exclude_seen", [False, True])
def test_recommends_the_most_probable_items(model: Sasrec, exclude_seen: bool):
    lists = [[3], [], [3, 1, 4, 1, 5, 9, 2, 6, 5, 8], [7, 7], [0, 29]]
    recommender = SasrecRecommender(model, users_per_batch=2, device=cpu())
    found = recommender.recommend(
        histories_of(*lists), top_k=N_ITEMS + 2, exclude_seen=exclude_seen
    )
    for row, history in enumerate(lists):
        logp = logp_after(model, history).numpy()
        allowed = [i for i in range(N_ITEMS) if not (exclude_seen and i in history)]
        expected = sorted(allowed, key=lambda item: -logp[item])
        assert found.items[row, : len(expected)].tolist() == expected
        assert (found.items[row, len(expected) :] == -1).all()
        np.testing.assert_allclose(found.logp[row, : len(expected)], logp[expected], rtol=1e-4)
        assert np.isneginf(found.logp[row, len(expected) :]).all()
    assert (found.items.dtype, found.logp.dtype) == (np.int32, np.float32)


def test_no_users_are_no_recommendations(model: Sasrec):
    assert SasrecRecommender(model, 4, cpu()).recommend(histories_of(), 5, True).items.shape == (
        0,
        5,
    )


def train(folder: Path, stop_after: int | None = None) -> tuple[Sasrec, TrainingRecord]:
    """Item i is followed by item i + 1: easy to learn."""
    starts = np.random.default_rng(0).integers(N_ITEMS, size=60)
    cycles = histories_of(*([(start + step) % N_ITEMS for step in range(8)] for start in starts))
    model = build_sasrec(CONFIG, N_ITEMS)
    calls = 0

    def validate() -> dict[str, float]:
        nonlocal calls
        calls += 1
        if stop_after is not None and calls > stop_after:
            raise KeyboardInterrupt
        found = SasrecRecommender(model, 16, cpu()).recommend(histories_of([4, 5, 6]), 9, True)
        rank = target_ranks(found.items, np.array([7]))[0]
        return {"ndcg@10": 1 / np.log2(rank + 1) if rank else 0.0}

    examples = model.training_examples(cycles)
    fingerprint = sasrec_fingerprint(CONFIG, cycles, N_ITEMS)
    record = train_network(model, examples, CONFIG.training, fingerprint, validate, folder, cpu())
    return model, record


def test_it_learns_and_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path):
    whole, record = train(tmp_path / "whole")
    assert record.best_value == 1.0
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop_after=2)
    resumed, resumed_record = train(tmp_path / "killed")
    assert [row["train_loss"] for row in resumed_record.history] == [
        row["train_loss"] for row in record.history
    ]
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_loaded_network_is_the_saved_one(tmp_path: Path, model: Sasrec):
    save_sasrec(tmp_path, model, TrainingRecord(3, 2, 0.5), "all its inputs")
    described = read_sasrec_description(tmp_path)
    assert described["training_fingerprint"] == "all its inputs"
    assert described["best_epoch"] == 2
    assert described["parameters"] == sum(p.numel() for p in model.parameters())
    loaded = load_sasrec(tmp_path, CONFIG, N_ITEMS)
    histories = histories_of([1, 2, 3])
    one, other = (
        SasrecRecommender(m, 1, cpu()).recommend(histories, 5, False) for m in (model, loaded)
    )
    assert np.array_equal(one.logp, other.logp)


def test_missing_and_damaged_files_are_named(tmp_path: Path, model: Sasrec):
    with pytest.raises(ArtifactError, match=r"sasrec\.json does not exist"):
        read_sasrec_description(tmp_path)
    with pytest.raises(ArtifactError, match=r"model\.safetensors is missing or damaged"):
        load_sasrec(tmp_path, CONFIG, N_ITEMS)
    save_sasrec(tmp_path, model, TrainingRecord(), "")
    with pytest.raises(ArtifactError, match=r"model\.safetensors is missing or damaged"):
        load_sasrec(tmp_path, CONFIG, N_ITEMS + 1)
    (tmp_path / "sasrec.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"sasrec\.json is not readable"):
        read_sasrec_description(tmp_path)


def test_the_fingerprint_follows_whatever_decides_the_weights():
    training = random_sequences(9, N_ITEMS, seed=1).training()
    other = random_sequences(9, N_ITEMS, seed=2).training()
    wider = CONFIG.model_copy(update={"width": 32})
    fingerprints = {
        sasrec_fingerprint(config, histories, n_items)
        for config, histories, n_items in (
            (CONFIG, training, N_ITEMS),
            (CONFIG, other, N_ITEMS),
            (wider, training, N_ITEMS),
            (CONFIG, training, N_ITEMS + 1),
        )
    }
    assert len(fingerprints) == 4
