"""The study: nine ways to make semantic IDs under one generator, written up from finished runs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.evaluation.repeats import mean_of_repeats
from tiger_pipeline.evaluation.result_document import Section, markdown_table, write_document
from tiger_pipeline.evaluation.result_tables import MetricValues
from tiger_pipeline.evaluation.study_findings import STUDY_ROWS, StudyRuns, find
from tiger_pipeline.evaluation.study_plots import labeled_scatter
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.workflows.baseline_tables import BaselineFolders
from tiger_pipeline.workflows.finished_runs import (
    FinishedRuns,
    read_finished_runs,
    report_folders,
)
from tiger_pipeline.workflows.result_sections import (
    curves_section,
    protocol_section,
    settings_section,
    table_section,
)

if TYPE_CHECKING:
    import pyarrow as pa

_INTRODUCTION = """\
Written by `tiger study {dataset}` from the reports of {runs} runs: nine ways to turn the items'
text embeddings into semantic IDs, {seeds}, each with a generator of the same settings. Every
statement below is computed from these runs. A repeat has other seeds in the quantizer and in the
generator's training.
"""
_FINDINGS = """\
A difference counts if its 95% interval over users leaves out zero and it is larger than two
standard errors over seeds (the deviation between seeds, pooled over the rows); otherwise it is
within noise. A claim that two things are equal agrees when their difference is within noise; how
large a difference could have gone unnoticed is what the interval says. A rank correlation counts
below p = 0.05 (permutation test).
"""


def write_study(
    store: ArtifactStore, dataset: str, variants: Mapping[str, Sequence[str]], path: Path
) -> None:
    """Write the study of a dataset to `path`, with its pictures beside it.

    Args:
        store: with the reports of the runs.
        dataset: name.
        variants: by row of `STUDY_ROWS`, the variants that are runs of it.
        path: of the Markdown file.

    Raises:
        ArtifactError: a row has no finished run, or a file is unreadable.
        ArtifactMismatchError: rows differ in more than their quantizers.
    """
    names = [name for row in STUDY_ROWS for name in variants[row]]
    reports = report_folders(store, dataset, names)
    by_row = {row: [name for name in variants[row] if name in reports] for row in STUDY_ROWS}
    missing = [row for row, finished in by_row.items() if not finished]
    if missing:
        raise ArtifactError(
            f"The study of {dataset!r} needs a finished run of every row; there is none of "
            f"{', '.join(missing)}. Run them first: tiger run {dataset} {' '.join(missing)}"
        )
    runs = read_finished_runs(reports, BaselineFolders.of(store, dataset))
    _check_alike(runs, by_row)
    introduction = _INTRODUCTION.format(
        dataset=dataset, runs=len(reports), seeds=_seeds(map(len, by_row.values()))
    )
    study = _study_runs(runs, by_row)
    sections = [
        _findings_section(study),
        table_section(runs, "The nine rows", "rows"),
        _codes_section(study),
        curves_section(runs, "Training", "training"),
        protocol_section(runs),
        settings_section(runs, "Settings and budget"),
    ]
    write_document(path, f"The study of quantizers on {dataset}", introduction, sections)


def _check_alike(runs: FinishedRuns, by_row: Mapping[str, Sequence[str]]) -> None:
    """Refuse rows whose runs differ by more than seeds, or from each other beyond quantizers."""
    for row, names in by_row.items():
        if row not in runs.repeats or set(runs.repeats[row]) != set(names):
            raise ArtifactMismatchError(
                f"The runs {', '.join(names)} do not differ by seeds alone: they were run with "
                "different settings. Run them again with the same `--set` values."
            )
    first, *others = STUDY_ROWS
    for other in others:
        for part in ("generator", "training", "evaluation"):
            if _part(runs, first, part) != _part(runs, other, part):
                raise ArtifactMismatchError(
                    f"{first} and {other} differ in their {part} settings, so the study could not "
                    "tell what their quantizers do. Run them again with the same `--set` values."
                )


def _part(runs: FinishedRuns, name: str, part: str) -> dict[str, Any]:
    settings = runs.contents[name]["settings"]
    values = settings["model"]["generator"] if part == "generator" else settings[part]
    return {key: value for key, value in values.items() if key != "seed"}


def _seeds(counts: Iterable[int]) -> str:
    fewest, *_, most = sorted([*counts])
    numbers = str(most) if fewest == most else f"{fewest} to {most}"
    return f"{numbers} seed{'' if most == 1 else 's'} each"


def _study_runs(runs: FinishedRuns, by_row: Mapping[str, Sequence[str]]) -> StudyRuns:
    import pyarrow as pa
    import pyarrow.compute as pc

    return StudyRuns(
        runs=by_row,
        ndcg={name: _test_ndcg(metrics, name) for name, metrics in runs.metrics.items()},
        perplexities={name: summary["perplexities"] for name, summary in runs.summaries.items()},
        ranks=pa.concat_tables(
            ranks.filter(pc.field("model") == name) for name, ranks in runs.ranks.items()
        ),
    )


def _test_ndcg(metrics: "pa.Table", name: str) -> float:
    value = MetricValues(metrics).get(name, "test", "masked", "ndcg", 10)
    if value is None:
        raise ArtifactMismatchError(
            f"The metrics of {name} hold no NDCG@10 on test. Put 10 into `evaluation.cutoffs` and "
            "'test' into `evaluation.splits`, and materialize its `metrics` again."
        )
    return value


def _findings_section(study: StudyRuns) -> Section:
    table = markdown_table(
        ["the study says", "these runs", "numbers (NDCG@10)"],
        [[found.claim, f"**{found.verdict}**", found.evidence] for found in find(study)],
    )
    return Section("What agrees with the study", f"{_FINDINGS}\n{table}", {})


def _codes_section(study: StudyRuns) -> Section:
    points = {
        row: (
            study.row_perplexity(row),
            study.row_ndcg(row),
            mean_of_repeats([study.ndcg[run] for run in runs]).deviation,
        )
        for row, runs in study.runs.items()
    }
    picture = labeled_scatter(
        points,
        "Do evenly used codes recommend better?",
        "perplexity, geometric mean of the levels",
        "test NDCG@10",
    )
    text = "One point a row; whiskers are the deviation over seeds."
    caption = "NDCG@10 against the perplexity of the codes"
    return Section("Codes and accuracy", text, {"perplexity": (caption, picture)})
