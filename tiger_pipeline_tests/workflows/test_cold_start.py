import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiger_pipeline.evaluation.cold_start_split import hold_out_items
from tiger_pipeline.generation.checkpoint import read_description
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.workflows.cold_start import (
    SEMANTIC_KNN,
    ColdStartFolders,
    ColdStartMeasurement,
    measure_cold_start,
)
from tiger_pipeline_tests.workflows.served_store import (
    N_ITEMS,
    SEQUENCES,
    embeddings,
    settings_of,
)

EMBEDDINGS = embeddings().slice(0, N_ITEMS)


def folders(root: Path) -> ColdStartFolders:
    return ColdStartFolders(root / "model", root / "work", root / "report")


def measure(
    root: Path, kind: str, table: pa.Table = EMBEDDINGS, sequences=SEQUENCES
) -> ColdStartMeasurement:
    return measure_cold_start(
        "shop", "plain", settings_of(kind), table, sequences, folders(root), False, NoProgress()
    )


@pytest.mark.parametrize("kind", ["decoder", "item_decoder"])
def test_generator_and_knn_are_measured_for_every_share(tmp_path: Path, kind: str):
    measured = measure(tmp_path, kind)
    metrics = pq.read_table(tmp_path / "report" / "metrics.parquet")
    assert metrics.equals(measured.report.metrics)
    models = (
        ["plain", SEMANTIC_KNN]
        if kind == "decoder"
        else ["plain", "plain, codes alone", SEMANTIC_KNN]
    )
    rows = metrics.to_pylist()
    assert list(dict.fromkeys(row["model"] for row in rows)) == models
    assert len(rows) == len(models) * 3 * 12 * 3 * 2
    values = {
        (row["model"], row["targets"], row["epsilon"], row["k"]): row["value"]
        for row in rows
        if row["metric"] == "recall"
    }
    for model in models:
        assert values[model, "cold", 0.0, 20] == 0
        assert values[model, "cold", 1.0, 20] > 0
    contents = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert contents["facts"]["held_out_items"] == round(0.2 * contents["facts"]["test_items"])
    assert not (tmp_path / "work").exists()


def test_what_is_finished_is_kept_and_measured_the_same(tmp_path: Path):
    first = measure(tmp_path, "decoder")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")}
    again = measure(tmp_path, "decoder")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")} == files
    assert again.report.metrics.equals(first.report.metrics)


def test_nothing_about_held_out_items_reaches_the_training(tmp_path: Path):
    """Neither their text nor who had them in training or validation."""
    split = hold_out_items(SEQUENCES, 0.2, seed=0)
    is_cold = pa.compute.is_in(
        EMBEDDINGS["item_id"], value_set=pa.array(split.cold_item_ids, pa.string())
    )
    other_text = pa.compute.if_else(
        is_cold,
        EMBEDDINGS["embedding"].take(pa.array(range(N_ITEMS)[::-1])),
        EMBEDDINGS["embedding"],
    )
    changed = EMBEDDINGS.set_column(1, "embedding", other_text)
    assert not changed.equals(EMBEDDINGS)
    measure(tmp_path / "one", "item_decoder")
    measure(tmp_path / "two", "item_decoder", changed)
    weights = [
        read_description(tmp_path / name / "model" / "generator")["weights_fingerprint"]
        for name in ("one", "two")
    ]
    assert weights[0] == weights[1]


def test_other_settings_fit_and_train_again(tmp_path: Path):
    measure(tmp_path, "decoder")
    before = read_description(tmp_path / "model" / "generator")["training_fingerprint"]
    settings = settings_of("decoder")
    cold_start = settings.evaluation.cold_start.model_copy(update={"seed": 5})
    evaluation = settings.evaluation.model_copy(update={"cold_start": cold_start})
    measure_cold_start(
        "shop",
        "plain",
        settings.model_copy(update={"evaluation": evaluation}),
        EMBEDDINGS,
        SEQUENCES,
        folders(tmp_path),
        False,
        NoProgress(),
    )
    after = read_description(tmp_path / "model" / "generator")["training_fingerprint"]
    assert after != before
