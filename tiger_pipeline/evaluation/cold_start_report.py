"""The cold-start report: table, JSON, Markdown, and the curves of TIGER's Figure 5."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiger_pipeline.evaluation import plots
from tiger_pipeline.evaluation.cold_start import TARGETS, ColdStartValues
from tiger_pipeline.evaluation.html_elements import number
from tiger_pipeline.evaluation.json_values import json_ready
from tiger_pipeline.storage.tables import write_table

if TYPE_CHECKING:
    import pyarrow as pa

TABLE, REPORT, FACTS, PICTURE = "metrics.parquet", "report.md", "metrics.json", "cold_start.png"
_FIGURE_EPSILON = 0.1
"""At which the paper shows Recall@K by K."""
_TITLES = {"recall": "Recall", "ndcg": "NDCG"}


@dataclass(frozen=True)
class ColdStartReport:
    """What was measured and under which circumstances.

    Attributes:
        title: dataset and variant.
        metrics: of `cold_start.measure_recommenders`.
        generator: the model that is compared with the kNN.
        knn: name of the kNN among the models.
        facts: counts, seeds, settings and seconds, by name.
    """

    title: str
    metrics: "pa.Table"
    generator: str
    knn: str
    facts: dict[str, Any]

    @property
    def beats_knn_at(self) -> dict[str, list[float]]:
        """By metric and cutoff, the values of ε at which the generator is better over all."""
        values = ColdStartValues(self.metrics)
        return {
            f"{metric}@{k}": values.better_at(self.generator, self.knn, k, metric)
            for metric in _TITLES
            for k in values.cutoffs
        }


def write_cold_start_report(directory: Path, report: ColdStartReport) -> tuple[str, bytes]:
    """Write metrics.parquet, metrics.json, report.md and cold_start.png.

    Args:
        directory: an existing directory, made whole by the caller (`storage.atomic_directory`).
        report: what to write.

    Returns:
        The Markdown and the picture.
    """
    markdown, picture = markdown_of(report), picture_of(report)
    write_table(directory / TABLE, report.metrics)
    contents = {
        "title": report.title,
        "facts": report.facts,
        "generator_beats_knn_at_epsilon": report.beats_knn_at,
        "metrics": report.metrics.to_pylist(),
    }
    text = json.dumps(json_ready(contents), indent=1, ensure_ascii=False, allow_nan=False)
    (directory / FACTS).write_text(text + "\n", encoding="utf-8")
    with_picture = f"{markdown}\n![Recall against ε]({PICTURE})\n"
    (directory / REPORT).write_text(with_picture, encoding="utf-8")
    (directory / PICTURE).write_bytes(picture)
    return markdown, picture


def picture_of(report: ColdStartReport) -> bytes:
    """Recall@10 against ε over all targets and over cold ones; Recall@K against K at ε = 0.1."""
    values = ColdStartValues(report.metrics)
    k = 10 if 10 in values.cutoffs else values.cutoffs[-1]
    epsilon = min(values.epsilons, key=lambda e: abs(e - _FIGURE_EPSILON))
    panels: dict[str, Any] = {
        f"Recall@{k}, {targets} targets": {
            model: (values.epsilons, values.curve(model, targets, k, "recall"))
            for model in values.models
        }
        for targets in ("all", "cold")
    }
    panels[f"Recall@K, all, ε = {epsilon:g}"] = {
        model: (
            values.cutoffs,
            [values.get(model, "all", epsilon, cutoff, "recall") for cutoff in values.cutoffs],
        )
        for model in values.models
    }
    x_titles = ["ε, largest share of cold-start items"] * 2 + ["K"]
    return plots.cold_start_curves(panels, x_titles, report.title)


def markdown_of(report: ColdStartReport) -> str:
    """The protocol in words, where the generator beats the kNN, and every value."""
    values = ColdStartValues(report.metrics)
    facts = report.facts
    lines = [
        f"# Cold start: {report.title}",
        "",
        f"{facts['held_out_items']:,} of {facts['test_items']:,} test items (seed "
        f"{facts['seed']}) were held out: their interactions are in no history, no training and "
        f"no validation, and codebooks and generator never saw them. "
        f"{values.users['all']:,} test targets, {values.users['cold']:,} of them cold; all "
        f"{facts['items']:,} items are candidates, seen items masked. Of a list of K at most "
        f"⌊ε·K⌋ are cold-start items. {report.knn} is a kNN over text embeddings, the mean of the "
        f"last {facts['knn_recent_items']} items (chosen on validation), with the same ε.",
        "",
        f"{report.generator} beats {report.knn} over all targets at ε:",
        "",
        *(
            f"- {_shown(name)}: {', '.join(f'{epsilon:g}' for epsilon in at) or 'none'}"
            for name, at in report.beats_knn_at.items()
        ),
    ]
    for targets in TARGETS:
        lines += ["", f"## {targets.capitalize()} targets", "", *_table(values, targets)]
    return "\n".join(lines) + "\n"


def _shown(name: str) -> str:
    metric, _, k = name.partition("@")
    return f"{_TITLES[metric]}@{k}"


def _table(values: ColdStartValues, targets: str) -> list[str]:
    columns = [(metric, k) for metric in _TITLES for k in values.cutoffs]
    titles = [f"{_TITLES[metric]}@{k}" for metric, k in columns]
    lines = [
        f"| model | ε | {' | '.join(titles)} |",
        "| --- | ---: |" + " ---: |" * len(columns),
    ]
    for model in values.models:
        for epsilon in values.epsilons:
            cells = [
                number(values.get(model, targets, epsilon, k, metric), ".4f")
                for metric, k in columns
            ]
            lines.append(f"| {model} | {epsilon:g} | {' | '.join(cells)} |")
    return lines
