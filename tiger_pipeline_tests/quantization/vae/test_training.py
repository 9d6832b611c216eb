from contextlib import contextmanager

import numpy as np
import pytest
import torch

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.config import ResidualVaeConfig
from tiger_pipeline.quantization.vae.evaluation import evaluate_codes
from tiger_pipeline.quantization.vae.initialization import start_codebooks
from tiger_pipeline.quantization.vae.model import QuantizingAutoencoder
from tiger_pipeline.quantization.vae.training import gumbel_scale_at, train_autoencoder
from tiger_pipeline.quantization.vectors import normalize_rows
from tiger_pipeline_tests.quantization.synthetic import blobs

VECTORS = torch.from_numpy(normalize_rows(blobs(300, 10, centers=12, seed=0, spread=0.5)))
CONFIG = ResidualVaeConfig(
    levels=2,
    codewords=8,
    hidden=(16,),
    code_dimension=4,
    epochs=12,
    batch_size=64,
    learning_rate=3e-3,
    evaluate_every=3,
)


def train(config, start=True):
    torch.manual_seed(config.seed)
    model = QuantizingAutoencoder(config, 10)
    if start:
        start_codebooks(model, VECTORS, config.seed)
    return model, train_autoencoder(model, VECTORS, NoProgress())


@pytest.mark.parametrize("codebook", ["learned", "ema", "simvq"])
@pytest.mark.parametrize("gradient", ["ste", "rotation", "gumbel"])
def test_every_combination_learns_to_reconstruct(codebook, gradient):
    if (codebook, gradient) == ("ema", "gumbel"):
        return
    config = CONFIG.model_copy(update={"codebook": codebook, "gradient": gradient})
    history = train(config)[1]
    first, last = history.rows[0], history.rows[-1]
    assert last["reconstruction_loss"] < 0.8 * first["reconstruction_loss"]


def test_history_has_a_row_an_epoch_and_figures_where_evaluated():
    _, history = train(CONFIG)
    assert [row["epoch"] for row in history.rows] == list(range(1, 13))
    evaluated = [row["epoch"] for row in history.rows if row["perplexity"] is not None]
    assert evaluated == [3, 6, 9, 12]
    row = history.rows[0]
    total = row["reconstruction_loss"] + row["codebook_loss"] + 0.5 * row["commitment_loss"]
    assert row["loss"] == pytest.approx(total, rel=1e-5)


def test_the_last_epoch_is_always_evaluated():
    _, history = train(CONFIG.model_copy(update={"epochs": 4}))
    assert history.rows[-1]["colliding_items"] is not None


@pytest.mark.parametrize("choose_by", ["perplexity", "reconstruction", "collisions"])
def test_the_weights_are_those_of_the_best_epoch(choose_by):
    model, history = train(CONFIG.model_copy(update={"choose_by": choose_by, "evaluate_every": 1}))
    rows = history.rows
    best = {
        "perplexity": max(rows, key=lambda row: np.mean(row["perplexity"])),
        "reconstruction": min(rows, key=lambda row: row["reconstruction_mse"]),
        "collisions": min(rows, key=lambda row: row["colliding_items"]),
    }[choose_by]
    assert history.best_epoch == best["epoch"]
    figures = evaluate_codes(model, VECTORS)
    assert figures == {name: best[name] for name in figures}


def test_the_seed_decides():
    def weights(seed: int) -> torch.Tensor:
        return train(CONFIG.model_copy(update={"seed": seed, "epochs": 3}))[0].encoder[0].weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_the_frozen_codebook_stays_frozen():
    torch.manual_seed(0)
    model = QuantizingAutoencoder(CONFIG.model_copy(update={"codebook": "simvq"}), 10)
    before = [book.frozen.clone() for book in model.codebooks]
    mapped = model.codebook(0)().detach().clone()
    train_autoencoder(model, VECTORS, NoProgress())
    for book, frozen in zip(model.codebooks, before, strict=True):
        assert torch.equal(book.frozen, frozen)
    assert not torch.allclose(model.codebook(0)(), mapped)


def test_unused_codewords_return_to_use():
    def utilization(restart: bool) -> list[float]:
        torch.manual_seed(0)
        model = QuantizingAutoencoder(CONFIG.model_copy(update={"restart_unused": restart}), 10)
        with torch.no_grad():
            for book in model.codebooks:
                book.codewords[1:] += 100
        rows = train_autoencoder(model, VECTORS, NoProgress()).rows
        assert (rows[0]["restarted"] > 0) is restart
        return rows[-1]["utilization"]

    assert min(utilization(True)) > 0.9
    assert max(utilization(False)) < 0.5


def test_a_loss_that_is_not_finite_is_explained():
    config = CONFIG.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ConfigurationError, match=r"loss became (nan|inf) in epoch \d"):
        train(config)


class Killed(NoProgress):
    """Kills the training after an epoch."""

    def __init__(self, epoch: int) -> None:
        self._epochs_left = epoch
        self.messages: list[str] = []

    @contextmanager
    def task(self, name, total, unit="steps"):
        self.total = total
        yield self

    def advance(self, amount=1, **figures):
        self._epochs_left -= amount
        if self._epochs_left == 0:
            raise KeyboardInterrupt

    def note(self, message):
        self.messages.append(message)


def train_until(epoch: int, config, folder, save_every_seconds=0.0):
    """Model, history and listener of a training in `folder`; it is killed after `epoch`, if any."""
    torch.manual_seed(config.seed)
    model = QuantizingAutoencoder(config, 10)
    start_codebooks(model, VECTORS, config.seed)
    listener, history = Killed(epoch), None
    try:
        history = train_autoencoder(model, VECTORS, listener, folder, save_every_seconds)
    except KeyboardInterrupt:
        assert epoch
    return model, history, listener


KINDS = [("learned", "ste"), ("learned", "gumbel"), ("ema", "rotation"), ("simvq", "ste")]


@pytest.mark.parametrize(("codebook", "gradient"), KINDS)
def test_a_killed_training_ends_with_the_same_weights(codebook, gradient, tmp_path):
    config = CONFIG.model_copy(update={"codebook": codebook, "gradient": gradient})
    whole, expected = train(config)
    train_until(4, config, tmp_path)
    resumed, history, listener = train_until(0, config, tmp_path)
    assert listener.messages == ["Training goes on after epoch 4."]
    assert listener.total == 8
    assert history.best_epoch == expected.best_epoch
    for row, same in zip(history.rows, expected.rows, strict=True):
        assert {**row, "seconds": 0} == {**same, "seconds": 0}
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_the_best_weights_survive_a_kill(tmp_path):
    config = CONFIG.model_copy(update={"choose_by": "collisions", "evaluate_every": 1})
    rows = train(config)[1].rows
    best = min(rows, key=lambda row: row["colliding_items"])
    assert best["epoch"] < 12, "the seed no longer suits this test"
    train_until(11, config, tmp_path)
    resumed, history, _ = train_until(0, config, tmp_path)
    assert history.best_epoch == best["epoch"]
    assert evaluate_codes(resumed, VECTORS)["colliding_items"] == best["colliding_items"]


def test_a_state_is_written_only_when_the_last_one_is_old(tmp_path):
    train_until(4, CONFIG, tmp_path / "rarely", save_every_seconds=1000)
    assert not (tmp_path / "rarely").exists()
    train_until(4, CONFIG, tmp_path / "always")
    names = sorted(path.name for path in (tmp_path / "always" / "epoch_state").iterdir())
    assert names == ["record.json", "tensors.safetensors"]


def test_the_state_of_other_settings_is_not_resumed(tmp_path):
    train_until(4, CONFIG, tmp_path)
    other = CONFIG.model_copy(update={"commitment_weight": 0.25})
    _, history, listener = train_until(0, other, tmp_path)
    assert "is not resumed: it was made with other data or settings" in listener.messages[0]
    assert history.rows[0]["loss"] == train(other)[1].rows[0]["loss"]


def test_gumbel_noise_fades_along_a_line():
    assert [gumbel_scale_at(epoch, 5) for epoch in range(1, 6)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert gumbel_scale_at(1, 1) == 1.0
