"""The generators side by side, dataset by dataset, written up from finished runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.evaluation.result_document import Section, write_document
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.workflows.baseline_tables import BaselineFolders
from tiger_pipeline.workflows.finished_runs import read_finished_runs, report_folders
from tiger_pipeline.workflows.result_sections import (
    curves_section,
    protocol_section,
    settings_section,
    table_section,
)

GENERATOR_ROWS = ("item_decoder", "item_decoder_ensemble", "t5", "kmeans_points_100")
"""One variant a generator: over items, several of these, TIGER as published, decoder-only."""

_INTRODUCTION = """\
Written by `tiger results {datasets}` from the reports of finished runs: generators and baselines
under one protocol a dataset. A row named after a variant is its generator as it recommends; a row
that adds "codes alone" is the same checkpoint ranked by the probability of the codes only.
"""


def write_results(
    store: ArtifactStore,
    datasets: Sequence[str],
    variants: Mapping[str, Sequence[str]],
    path: Path,
) -> None:
    """Write the results of several datasets to `path`, with their pictures beside it.

    Args:
        store: with the reports of the runs.
        datasets: names; one that holds the same interactions under another split is another
            protocol.
        variants: by row, the variants that are runs of it; those not finished are named as such.
        path: of the Markdown file.

    Raises:
        ArtifactError: a dataset has no finished run, or a file is unreadable.
        ArtifactMismatchError: runs of a dataset were not measured alike.
    """
    sections = [part for name in datasets for part in _of_dataset(store, name, variants)]
    introduction = _INTRODUCTION.format(datasets=" ".join(datasets))
    write_document(path, "Results of the generators", introduction, sections)


def _of_dataset(
    store: ArtifactStore, dataset: str, variants: Mapping[str, Sequence[str]]
) -> list[Section]:
    reports = report_folders(store, dataset, [run for runs in variants.values() for run in runs])
    missing = [row for row, runs in variants.items() if not set(runs) & set(reports)]
    if not reports:
        raise ArtifactError(
            f"There are no results of {dataset!r}: none of {', '.join(missing)} is finished. "
            f"Run them first: tiger run {dataset} {' '.join(missing)}"
        )
    runs = read_finished_runs(reports, BaselineFolders.of(store, dataset))
    table = table_section(runs, f"{dataset}: rows", f"{dataset}_rows")
    if missing:
        note = f"Not run: {', '.join(f'`{row}`' for row in missing)}."
        table = Section(table.title, f"{table.text}\n{note}", table.pictures)
    return [
        table,
        curves_section(runs, f"{dataset}: training", f"{dataset}_training"),
        protocol_section(runs, f"{dataset}: protocol"),
        settings_section(runs, f"{dataset}: settings and budget"),
    ]
