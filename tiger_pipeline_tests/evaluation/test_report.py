import json
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pytest

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.evaluation.report import (
    REPORT_PAGE,
    compare_with_others,
    draw_pictures,
    read_metrics,
    read_summary,
    write_report,
)
from tiger_pipeline.evaluation.report_inputs import ReportInputs
from tiger_pipeline.evaluation.result_tables import MetricValues
from tiger_pipeline.storage.tables import read_table, write_table
from tiger_pipeline_tests.evaluation.synthetic import report_inputs


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return report_inputs()


@pytest.fixture(scope="module")
def directory(inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    write_report(path, inputs)
    return path


def test_all_files_are_there(directory):
    assert sorted(path.name for path in directory.iterdir()) == [
        "accuracy.png",
        "code_use.png",
        "collisions.png",
        "metrics.json",
        "metrics.parquet",
        "ranks.parquet",
        "report.html",
        "training.png",
    ]


def test_tables_are_read_back(directory, inputs):
    assert read_metrics(directory).equals(inputs.metrics)
    assert read_table(directory / "ranks.parquet").equals(inputs.ranks)


def test_the_summary_is_read_back(directory):
    assert read_summary(directory) == {
        "parameters": 1_234_567,
        "training_seconds": 98.7,
        "perplexities": [2.83, 2.83],
        "colliding_items": 10,
        "suffix_tokens": 4,
        "best_epoch": 6,
        "seed": 3,
    }


def test_json_holds_every_value_with_its_protocol(directory, inputs):
    contents = json.loads((directory / "metrics.json").read_text())
    assert len(contents["metrics"]) == inputs.metrics.num_rows
    assert [(p["split"], p["seen"]) for p in contents["protocols"]] == [
        ("valid", "masked"),
        ("valid", "kept"),
        ("test", "masked"),
        ("test", "kept"),
    ]
    assert contents["protocols"][0]["candidates"] == 40
    assert contents["history"][1]["valid_ndcg@10"] == 0.02
    assert contents["settings"]["data"]["path"] == "somewhere"


def test_the_variant_is_compared_with_every_baseline(directory, inputs):
    compared = json.loads((directory / "metrics.json").read_text())["comparisons"]
    assert [(c["seen"], c["other"], c["metric"], c["k"]) for c in compared] == [
        (seen, other, metric, 10)
        for seen in ("masked", "kept")
        for other in ("popularity", "random_ranking", "item_transition_knn")
        for metric in ("hit_rate", "ndcg")
    ]
    values = MetricValues(inputs.metrics)
    for comparison in compared:
        own, other = (
            values.get(
                comparison[name], "test", comparison["seen"], comparison["metric"], comparison["k"]
            )
            for name in ("model", "other")
        )
        assert comparison["model"] == "kmeans"
        assert comparison["difference"]["mean"] == pytest.approx(own - other)


def test_baselines_of_other_users_are_refused(inputs):
    fewer = inputs.ranks.filter(
        (pc.field("model") != "popularity") | (pc.field("user_id") != "user7")
    )
    with pytest.raises(ArtifactMismatchError, match=r"'popularity' cannot be compared.*'user7'"):
        compare_with_others(report_inputs(ranks=fewer))


def test_a_variant_without_test_values_is_compared_on_what_it_was_measured_on(tmp_path, inputs):
    split, model = pc.field("split"), pc.field("model")
    # The variant on validation targets alone, one baseline on test targets alone.
    left_out = ((model == inputs.variant) & (split == "test")) | (
        (model == "random_ranking") & (split == "valid")
    )
    partial = replace(
        inputs, metrics=inputs.metrics.filter(~left_out), ranks=inputs.ranks.filter(~left_out)
    )
    compared = compare_with_others(partial)
    assert {(c.split, c.other) for c in compared} == {
        ("valid", "popularity"),
        ("valid", "item_transition_knn"),
    }
    write_report(tmp_path, partial)
    page = (tmp_path / REPORT_PAGE).read_text()
    assert "Validation NDCG@10, seen masked" in page
    assert "Test NDCG@10, seen masked" not in page


def test_a_report_without_training_or_codes(tmp_path, inputs):
    bare = ReportInputs("demo", "kmeans", inputs.metrics, inputs.ranks)
    write_report(tmp_path, bare)
    assert list(draw_pictures(bare)) == ["accuracy"]
    assert read_summary(tmp_path)["perplexities"] == []
    assert read_summary(tmp_path)["parameters"] is None


def test_a_loss_that_is_not_a_number_becomes_null(tmp_path):
    history = [{"epoch": 1, "train_loss": float("nan"), "valid_ndcg@10": None, "seconds": 1.0}]
    write_report(tmp_path, report_inputs(history=history, best_epoch=None))
    assert json.loads((tmp_path / "metrics.json").read_text())["history"][0]["train_loss"] is None


def test_no_summary_to_read(tmp_path):
    with pytest.raises(ArtifactError, match=r"metrics\.json does not exist. Materialize"):
        read_summary(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"summary": null'])
def test_a_broken_summary_is_named(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"is not the metrics\.json of a report"):
        read_summary(tmp_path)


def test_a_summary_of_another_version_is_named(tmp_path):
    (tmp_path / "metrics.json").write_text('{"summary": {"parameters": 1}}')
    with pytest.raises(ArtifactError, match="has no 'training_seconds'"):
        read_summary(tmp_path)


def test_metrics_of_another_version_are_named(tmp_path):
    write_report(tmp_path, report_inputs())
    table = read_metrics(tmp_path)
    write_table(tmp_path / "metrics.parquet", table.drop_columns(["search"]))
    with pytest.raises(ArtifactError, match=r"metrics\.parquet has no column 'search'"):
        read_metrics(tmp_path)
