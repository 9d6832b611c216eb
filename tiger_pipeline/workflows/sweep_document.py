"""What a sweep found: a table, a picture and a few lines."""

from pathlib import Path
from typing import TYPE_CHECKING

from tiger_pipeline.evaluation.html_elements import plain
from tiger_pipeline.evaluation.rank_correlation import rank_correlation
from tiger_pipeline.evaluation.result_document import Section, markdown_table, write_document
from tiger_pipeline.evaluation.study_findings import correlation_in_words
from tiger_pipeline.evaluation.study_plots import sweep_curves
from tiger_pipeline.workflows.sweep import SWEEPS

if TYPE_CHECKING:
    import pyarrow as pa

_INTRODUCTION = """\
Written by `tiger sweep {name} {dataset} {variant}`: the setting `{setting}` of the variant
`{variant}` on `{dataset}`, all else equal, one seed a point. {question} Accuracy is with seen
items masked, over the whole catalog.
"""


def write_sweep(name: str, dataset: str, variant: str, points: "pa.Table", path: Path) -> None:
    """Write what `sweep.run_sweep` measured to `path`, its picture beside it.

    Args:
        name: of the sweep.
        dataset: name.
        variant: name.
        points: one row a point.
        path: of the Markdown file.

    Raises:
        ArtifactError: it could not be written.
    """
    sweep = SWEEPS[name]
    columns = points.to_pydict()
    rows = [[plain(value) for value in row.values()] for row in points.to_pylist()]
    text = markdown_table(points.column_names, rows)
    if sweep.correlated:
        x, y = sweep.correlated
        known = [pair for pair in zip(columns[x], columns[y], strict=True) if None not in pair]
        found = rank_correlation([a for a, _ in known], [b for _, b in known])
        text += f"\nRank correlation of {x} with {y}: {correlation_in_words(found)}.\n"
    picture = sweep_curves(
        columns[name],
        {
            title: {column.replace("_", " "): columns[column] for column in drawn}
            for title, drawn in sweep.panels.items()
        },
        f"{dataset}, {variant}: {sweep.question}",
        sweep.setting,
    )
    introduction = _INTRODUCTION.format(
        name=name,
        dataset=dataset,
        variant=variant,
        setting=sweep.setting,
        question=sweep.question,
    )
    sections = [Section("Points", text, {f"{dataset}_{variant}": (sweep.question, picture)})]
    write_document(path, f"Sweep of {name.replace('_', ' ')}", introduction, sections)
