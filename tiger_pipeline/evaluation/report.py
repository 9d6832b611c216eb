"""The metric report of a variant: tables and JSON for machines, pictures and a page for people."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation import plots
from tiger_pipeline.evaluation.json_values import json_ready
from tiger_pipeline.evaluation.metrics import METRIC_TITLES
from tiger_pipeline.evaluation.paired_bootstrap import PairedComparison, PerUserRanks
from tiger_pipeline.evaluation.protocol import SEEN, EvaluationProtocol
from tiger_pipeline.evaluation.report_inputs import SUMMARY_FIELDS, ReportInputs
from tiger_pipeline.evaluation.report_page import render_page
from tiger_pipeline.evaluation.result_tables import SPLIT_TITLES, MetricValues
from tiger_pipeline.storage.tables import read_table, write_table

if TYPE_CHECKING:
    import pyarrow as pa

METRICS_JSON, METRICS_TABLE, RANKS_TABLE = "metrics.json", "metrics.parquet", "ranks.parquet"
REPORT_PAGE = "report.html"
_RUN_CONTENTS = ("summary", "history", "codes", "settings", "facts")


def write_report(directory: Path, inputs: ReportInputs) -> None:
    """Write metrics.json, metrics.parquet, ranks.parquet, the pictures and report.html.

    Args:
        directory: an existing directory, made whole by the caller (`storage.atomic_directory`).
        inputs: what to show.

    Raises:
        ArtifactMismatchError: the models in `metrics` were not measured under one protocol, or
            not on the same users.
    """
    pictures = draw_pictures(inputs)
    comparisons = compare_with_others(inputs)
    write_table(directory / METRICS_TABLE, inputs.metrics)
    write_table(directory / RANKS_TABLE, inputs.ranks)
    text = json.dumps(_contents(inputs, comparisons), indent=2, ensure_ascii=False, allow_nan=False)
    (directory / METRICS_JSON).write_text(text + "\n", encoding="utf-8")
    for name, png in pictures.items():
        (directory / f"{name}.png").write_bytes(png)
    (directory / REPORT_PAGE).write_text(
        render_page(inputs, pictures, comparisons), encoding="utf-8"
    )


def compare_with_others(inputs: ReportInputs) -> list[PairedComparison]:
    """The variant against every other model on its headline split, at the headline cutoff.

    Models that were not measured on that split (`evaluation.splits` was another) are left out.

    Raises:
        ArtifactMismatchError: a model has no ranks, or of other users.
    """
    values = MetricValues(inputs.metrics)
    split, k = values.headline_split(inputs.variant), values.headline_cutoff
    ranks = PerUserRanks(inputs.ranks)
    return [
        ranks.compare(inputs.variant, other, split, seen, metric, k)
        for seen in SEEN
        for other in values.models_on(split)
        if other != inputs.variant
        for metric in METRIC_TITLES
    ]


def draw_pictures(inputs: ReportInputs) -> dict[str, bytes]:
    """The report's pictures as PNG: accuracy, training, code_use, collisions, where there is data.

    Returns:
        By name, in the order of the page.
    """
    pictures = {"accuracy": _accuracy_picture(inputs)}
    if inputs.history:
        pictures["training"] = plots.training_curves(inputs.history, inputs.best_epoch)
    if inputs.code_statistics.get("code_counts"):
        pictures["code_use"] = plots.code_use(
            inputs.code_statistics["code_counts"],
            [level.get("perplexity") for level in inputs.code_statistics["levels"]],
        )
    if inputs.group_sizes is not None and len(inputs.group_sizes):
        sizes, items = np.unique(inputs.group_sizes, return_counts=True)
        tuples = (items // sizes).tolist()
        pictures["collisions"] = plots.collision_groups(
            dict(zip(sizes.tolist(), tuples, strict=True))
        )
    return pictures


def read_summary(directory: Path) -> dict[str, Any]:
    """The `summary` of a report's metrics.json.

    Raises:
        ArtifactError: the file is absent, unreadable, or of another version.
    """
    summary = _read_json(directory, ["summary"])["summary"]
    missing = [name for name in SUMMARY_FIELDS if name not in summary]
    if missing:
        raise ArtifactError(
            f"The summary in {directory / METRICS_JSON} has no {missing[0]!r}. Was it written by "
            "another version? Materialize `metrics` again."
        )
    return summary


def read_contents(directory: Path) -> dict[str, Any]:
    """What a report's metrics.json says of the run: summary, history, codes, settings, facts.

    Raises:
        ArtifactError: the file is absent, unreadable, or of another version.
    """
    return _read_json(directory, _RUN_CONTENTS)


def _read_json(directory: Path, names: Sequence[str]) -> dict[str, Any]:
    path = directory / METRICS_JSON
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        return {name: contents[name] for name in names}
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist. Materialize `metrics` first.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is not the metrics.json of a report. Materialize `metrics` again."
        ) from error


def read_metrics(directory: Path) -> "pa.Table":
    """The long metrics table of a report, or of measured baselines.

    Raises:
        ArtifactError: the file is absent, unreadable, or of another version.
    """
    metrics = read_table(directory / METRICS_TABLE)
    if "search" not in metrics.column_names:
        raise ArtifactError(
            f"{directory / METRICS_TABLE} has no column 'search'. Was it written by another "
            "version? Materialize `baseline_metrics` and `metrics` again."
        )
    return metrics


def _accuracy_picture(inputs: ReportInputs) -> bytes:
    values = MetricValues(inputs.metrics)
    split, k = values.headline_split(inputs.variant), values.headline_cutoff
    panels = {
        f"{title}@{k}": {
            model: values.get(model, split, "masked", metric, k)
            for model in values.models_on(split)
        }
        for metric, title in METRIC_TITLES.items()
    }
    ranking = EvaluationProtocol.of(inputs.metrics, split, "masked").ranking
    title = f"{SPLIT_TITLES[split]}, seen items masked, {ranking} ranking"
    return plots.accuracy_bars(panels, [inputs.variant], title)


def _contents(inputs: ReportInputs, comparisons: Sequence[PairedComparison]) -> dict[str, Any]:
    """All of metrics.json; numbers that are not finite become null, as JSON has none."""
    splits = MetricValues(inputs.metrics).splits
    protocols = [
        EvaluationProtocol.of(inputs.metrics, split, seen) for split in splits for seen in SEEN
    ]
    return json_ready(
        {
            "dataset": inputs.dataset,
            "variant": inputs.variant,
            "summary": inputs.summary(),
            "protocols": [vars(protocol) for protocol in protocols],
            "targets_already_seen": inputs.targets_already_seen,
            "untrained_targets": inputs.untrained_targets,
            "metrics": inputs.metrics.select(
                ["model", "split", "seen", "metric", "k", "value"]
            ).to_pylist(),
            "comparisons": [asdict(comparison) for comparison in comparisons],
            "history": inputs.history,
            "codes": {k: v for k, v in inputs.code_statistics.items() if k != "code_counts"},
            "settings": inputs.settings,
            "facts": inputs.facts,
        }
    )
