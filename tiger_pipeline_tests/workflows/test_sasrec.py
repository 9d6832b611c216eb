"""Measuring SASRec, and reading it beside the standard baselines."""

import json
from pathlib import Path

import pytest

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.configuration.settings import Settings, parse_settings
from tiger_pipeline.evaluation.result_tables import MetricValues
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.workflows.baseline_tables import BaselineFolders, read_baselines
from tiger_pipeline.workflows.baselines import measure_baselines
from tiger_pipeline.workflows.sasrec import measure_sasrec
from tiger_pipeline_tests.evaluation.synthetic import random_sequences

SEQUENCES = random_sequences(30, 25, seed=1)


class Notes(NoProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def note(self, message: str) -> None:
        self.messages.append(message)


def settings_with(**sasrec: object) -> Settings:
    training = {"max_epochs": 2, "validate_every": 1}
    values = {
        "data": {"source": {"path": "."}},
        "evaluation": {"sasrec": {"width": 8, "heads": 1, "training": training, **sasrec}},
    }
    return parse_settings(values, "a test")


def measure(
    folder: Path,
    settings: Settings | None = None,
    sequences: UserSequences = SEQUENCES,
    retrain: bool = False,
) -> Notes:
    notes = Notes()
    measure_sasrec(
        settings or settings_with(),
        sequences,
        folder / "sasrec",
        folder / "work",
        retrain,
        notes,
    )
    return notes


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_finished_network_is_kept_and_measured_again(tmp_path: Path):
    notes = measure(tmp_path)
    assert any("Epoch 2" in message for message in notes.messages)
    before = files_of(tmp_path / "sasrec")
    assert sorted(before) == [
        "metrics.parquet",
        "model.safetensors",
        "ranks.parquet",
        "sasrec.json",
    ]
    assert not (tmp_path / "work").exists()
    notes = measure(tmp_path)
    assert len(notes.messages) == 1
    assert "it is kept" in notes.messages[0]
    assert files_of(tmp_path / "sasrec") == before


@pytest.mark.parametrize("why", ["retrain", "other settings", "other data", "damaged weights"])
def test_otherwise_it_is_trained(tmp_path: Path, why: str):
    measure(tmp_path)
    if why == "damaged weights":
        (tmp_path / "sasrec" / "model.safetensors").write_bytes(b"{")
    notes = measure(
        tmp_path,
        settings_with(dropout=0.1) if why == "other settings" else None,
        random_sequences(30, 25, seed=2) if why == "other data" else SEQUENCES,
        retrain=why == "retrain",
    )
    assert any("Epoch 2" in message for message in notes.messages)


def folders_of(folder: Path) -> BaselineFolders:
    return BaselineFolders(folder / "standard", folder / "sasrec")


def test_reports_read_it_beside_the_standard_baselines(tmp_path: Path):
    measure_baselines(settings_with(), SEQUENCES, tmp_path / "standard", NoProgress())
    alone = read_baselines(folders_of(tmp_path), NoProgress())
    assert "sasrec" not in MetricValues(alone.metrics).models
    assert alone.summaries == {}

    measure(tmp_path)
    notes = Notes()
    both = read_baselines(folders_of(tmp_path), notes)
    assert not notes.messages
    assert MetricValues(both.metrics).models[-1] == "sasrec"
    assert both.ranks.num_rows == alone.ranks.num_rows * 4 // 3
    described = json.loads((tmp_path / "sasrec" / "sasrec.json").read_text())
    assert both.summaries["sasrec"] == {
        "parameters": described["parameters"],
        "best_epoch": described["best_epoch"],
        "seed": 0,
        "training_seconds": described["seconds"],
    }


@pytest.mark.parametrize("change", ["interactions", "cutoffs"])
def test_one_that_is_out_of_date_is_left_out_with_a_note(tmp_path: Path, change: str):
    measure(tmp_path)
    settings, sequences = settings_with(), SEQUENCES
    if change == "cutoffs":
        evaluation = settings.evaluation.model_copy(update={"cutoffs": (5, 10)})
        settings = settings.model_copy(update={"evaluation": evaluation})
    else:
        # The same users, targets and catalog: only a training interaction is another one.
        items = SEQUENCES.items.copy()
        items[0] = (items[0] + 1) % 25
        sequences = UserSequences(
            SEQUENCES.user_ids, SEQUENCES.item_ids, SEQUENCES.offsets, items, SEQUENCES.splits
        )
    measure_baselines(settings, sequences, tmp_path / "standard", NoProgress())
    notes = Notes()
    found = read_baselines(folders_of(tmp_path), notes)
    assert "sasrec" not in MetricValues(found.metrics).models
    assert (
        "it is left out. Materialize `baseline_metrics` and `sasrec_baseline`" in notes.messages[0]
    )
