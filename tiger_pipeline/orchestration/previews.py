"""How artifacts look in the UI: first rows of tables, pictures inline. Each stays under 100 KB."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg

_ROWS = 8
_VERSIONS = 20
_CELL_CHARACTERS = 80
_MARKUP = re.compile(r"[\\`|<&\[]")
"""What would make HTML, links or pictures of a text that comes from outside."""


def table_preview(table) -> dg.MetadataValue:
    """The first rows of a pyarrow table as Markdown, long cells cut."""
    return _markdown(table.column_names, table.slice(0, _ROWS).to_pylist())


def versions_preview(history) -> dg.MetadataValue:
    """The latest versions of a table of cold items' IDs, the newest first."""
    rows = [asdict(version) for version in reversed(history[-_VERSIONS:])]
    return _markdown(list(rows[0]) if rows else [], rows)


def rejected_preview(rejected) -> dg.MetadataValue:
    """Some rows of incoming files that were rejected, with the reasons."""
    rows = [asdict(row) for row in rejected[:_ROWS]]
    return _markdown(list(rows[0]) if rows else [], rows)


def changed_texts_preview(changed_texts) -> dg.MetadataValue:
    """Some items that keep their IDs though their texts have changed."""
    rows = [asdict(changed) for changed in changed_texts[:_ROWS]]
    return _markdown(list(rows[0]) if rows else [], rows)


def _markdown(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines) if rows else "none")


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        value = (
            "[" + ", ".join(_number(part) for part in value[:6]) + (", …" * (len(value) > 6)) + "]"
        )
    text = str(value).replace("\n", " ⏎ ")
    text = text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
    return _MARKUP.sub(r"\\\g<0>", text)


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def picture_preview(png: bytes, title: str) -> dg.MetadataValue:
    """A PNG as inline Markdown; the UI shows it without a further request."""
    from tiger_pipeline.evaluation.plots import picture_markdown

    return dg.MetadataValue.md(picture_markdown(png, title))


def metrics_preview(metrics, variant=None) -> dg.MetadataValue:
    """A long metrics table on its headline split, one row a model and a treatment of seen items.

    `variant` is the model whose headline split it is; None: that of all of them.
    """
    from tiger_pipeline.evaluation.result_tables import MetricValues

    values = MetricValues(metrics)
    split = values.headline_split(variant)
    names = [(metric, k) for metric in ("hit_rate", "ndcg") for k in values.cutoffs]
    lines = [
        "| model | seen items | " + " | ".join(f"{metric}@{k}" for metric, k in names) + " |",
        "| --- | --- |" + " ---: |" * len(names),
    ]
    for model in values.models_on(split):
        for seen in ("masked", "kept"):
            cells = (values.get(model, split, seen, metric, k) or 0.0 for metric, k in names)
            lines.append(f"| {model} | {seen} | " + " | ".join(f"{c:.4f}" for c in cells) + " |")
    return dg.MetadataValue.md(f"Split: {split}\n\n" + "\n".join(lines))


def recommendations_preview(rows, title_of) -> dg.MetadataValue:
    """Rows of recommendations (dicts) with the titles of their items, as Markdown."""
    lines = ["| user | rank | item | title | score | cold start |", "|" + " --- |" * 6]
    for row in rows:
        cells = (
            row["user_id"],
            row["rank"],
            row["item_id"],
            title_of(row["item_id"]),
            f"{row['score']:.3f}",
            "yes" if row["is_cold_start"] else "",
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return dg.MetadataValue.md("\n".join(lines))
