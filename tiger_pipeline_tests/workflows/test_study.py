import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tiger_pipeline.configuration.settings import move_seeds, parse_settings
from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.evaluation.protocol import EvaluationResult, evaluate
from tiger_pipeline.evaluation.report import METRICS_JSON, METRICS_TABLE, RANKS_TABLE
from tiger_pipeline.evaluation.study_findings import STUDY_ROWS
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import write_table
from tiger_pipeline.workflows.baseline_tables import write_baselines
from tiger_pipeline.workflows.results import write_results
from tiger_pipeline.workflows.study import write_study
from tiger_pipeline_tests.evaluation.synthetic import FixedRecommender, random_sequences

SEQUENCES = random_sequences(n_users=40, n_items=30, seed=1)
VARIANTS = {row: [row, f"{row}_seed_1"] for row in STUDY_ROWS}


@cache
def measured(name: str) -> EvaluationResult:
    return evaluate(FixedRecommender(30), SEQUENCES, EvaluationConfig(), name)


def settings_of(row: str, repeat: int, **training: Any) -> dict[str, Any]:
    # Each row has a quantizer of its own; what kind is of no matter here.
    quantizer = {"kind": "random", "codewords": 2 + STUDY_ROWS.index(row)}
    values = {
        "data": {"source": {"path": "."}},
        "model": {"quantizer": quantizer},
        "training": training,
    }
    return move_seeds(parse_settings(values, "a test"), repeat).model_dump(mode="json")


def finish(store: ArtifactStore, variant: str, settings: Mapping[str, Any]) -> None:
    """Put the report of a variant into the store, as `metrics` would."""
    directory = store.directory("metrics", "shop", variant)
    result = measured(variant)
    write_table(directory / METRICS_TABLE, result.metrics)
    write_table(directory / RANKS_TABLE, result.ranks)
    place = len(variant)
    contents = {
        "summary": {
            "parameters": 100 + place,
            "training_seconds": 12.0,
            "perplexities": [4.0 + place, 9.0],
            "colliding_items": place,
            "suffix_tokens": 2,
            "best_epoch": 1,
            "seed": settings["training"]["seed"],
        },
        "history": [{"epoch": 1, "train_loss": 2.0, "valid_ndcg@10": 0.1}],
        "codes": {},
        "settings": settings,
        "facts": {"Seconds": {"codebooks": 1.5}},
    }
    (directory / METRICS_JSON).write_text(json.dumps(contents))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """All nine rows with one repeat each."""
    store = ArtifactStore(tmp_path / "store")
    baselines = store.directory("baseline_metrics", "shop")
    baselines.mkdir(parents=True)
    write_baselines(baselines, [measured("popularity")], SEQUENCES)
    for row, variants in VARIANTS.items():
        for repeat, variant in enumerate(variants):
            finish(store, variant, settings_of(row, repeat))
    return store


def test_equal_rows_are_written_up_as_equal(store: ArtifactStore, tmp_path: Path):
    write_study(store, "shop", VARIANTS, tmp_path / "study.md")
    text = (tmp_path / "study.md").read_text()
    assert "the reports of 18 runs" in text
    assert "2 seeds each" in text
    assert text.count("**within noise**") == 3
    assert text.count("**agrees**") == 3
    assert "| `training.max_epochs` | 60 |" in text
    assert "| random | `codewords` 2 | 1, 1 | 1.5, 1.5 |" in text
    value = measured("random").metrics.to_pylist()
    (ndcg,) = (
        row["value"]
        for row in value
        if (row["split"], row["seen"], row["metric"], row["k"]) == ("test", "masked", "ndcg", 10)
    )
    assert f"{ndcg:.4f} ± 0.0000" in text


def test_a_row_that_is_not_finished_is_named(store: ArtifactStore, tmp_path: Path):
    without = {**VARIANTS, "rqvae_ste": ["rqvae_ste_seed_7"], "random": ["random_seed_7"]}
    with pytest.raises(ArtifactError, match="tiger run shop random rqvae_ste"):
        write_study(store, "shop", without, tmp_path / "study.md")
    assert not (tmp_path / "study.md").exists()


def test_repeats_of_other_settings_are_refused(store: ArtifactStore, tmp_path: Path):
    finish(store, "rqvae_ste_seed_1", settings_of("rqvae_ste", 1, patience=9))
    with pytest.raises(ArtifactMismatchError, match=r"rqvae_ste, rqvae_ste_seed_1 do not differ"):
        write_study(store, "shop", VARIANTS, tmp_path / "study.md")


def test_rows_with_another_budget_are_refused(store: ArtifactStore, tmp_path: Path):
    for repeat, variant in enumerate(VARIANTS["rqvae_ste"]):
        finish(store, variant, settings_of("rqvae_ste", repeat, max_epochs=9))
    with pytest.raises(ArtifactMismatchError, match="rqvae_ste differ in their training settings"):
        write_study(store, "shop", VARIANTS, tmp_path / "study.md")


def test_results_have_a_part_for_each_dataset(store: ArtifactStore, tmp_path: Path):
    variants = {"random": VARIANTS["random"], "t5": ["t5"]}
    write_results(store, ["shop"], variants, tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text()
    assert "| **random** | 2 |" in text
    assert "| *popularity* |" in text
    assert "Not run: `t5`." in text
    with pytest.raises(ArtifactError, match="tiger run elsewhere random t5"):
        write_results(store, ["shop", "elsewhere"], variants, tmp_path / "results.md")
