"""The reports of finished variants of a dataset, read together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiger_pipeline.configuration.settings import without_seeds
from tiger_pipeline.evaluation.leaderboard import build_leaderboard
from tiger_pipeline.evaluation.repeats import group_repeats
from tiger_pipeline.evaluation.report import RANKS_TABLE, read_contents, read_metrics, read_summary
from tiger_pipeline.progress import NoProgress, Progress
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table
from tiger_pipeline.workflows.baseline_tables import BaselineFolders, Baselines, read_baselines

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


@dataclass(frozen=True)
class FinishedRuns:
    """What the reports of several variants of a dataset hold.

    Attributes:
        contents: by variant, `report.read_contents` of it.
        metrics: by variant, its long metrics table.
        ranks: by variant, its long table of ranks.
        summaries: by variant, `report.read_summary` of it.
        repeats: the variants that differ by seeds only, by the name of the first.
        baselines: of the dataset.
    """

    contents: Mapping[str, Mapping[str, Any]]
    metrics: "Mapping[str, pa.Table]"
    ranks: "Mapping[str, pa.Table]"
    summaries: Mapping[str, Mapping[str, Any]]
    repeats: Mapping[str, Sequence[str]]
    baselines: Baselines

    def leaderboard(self) -> "pa.Table":
        """See `leaderboard.build_leaderboard`."""
        return build_leaderboard(
            self.metrics,
            {**self.baselines.summaries, **self.summaries},
            self.baselines.metrics,
            self.ranks,
            self.baselines.ranks,
            self.repeats,
        )


def report_folders(
    store: ArtifactStore, dataset: str, variants: Sequence[str]
) -> "dict[str, Path]":
    """The report folders of those of `variants` that are finished."""
    finished = store.partitions("metrics", dimensions=2)
    return {
        name: store.fetch(store.directory("metrics", dataset, name))
        for name in variants
        if (dataset, name) in finished
    }


def read_finished_runs(
    reports: "Mapping[str, Path]",
    baselines: BaselineFolders,
    progress: Progress = NoProgress(),  # noqa: B008 (stateless)
) -> FinishedRuns:
    """Read all reports.

    Args:
        reports: by variant, its folder.
        baselines: the folders of the dataset's baselines.
        progress: where a baseline that does not fit is noted.

    Raises:
        ArtifactError: a report or the baselines are missing or unreadable.
    """
    contents = {name: read_contents(folder) for name, folder in reports.items()}
    return FinishedRuns(
        contents=contents,
        metrics={name: read_metrics(folder) for name, folder in reports.items()},
        ranks={name: read_table(folder / RANKS_TABLE) for name, folder in reports.items()},
        summaries={name: read_summary(folder) for name, folder in reports.items()},
        repeats=group_repeats(
            {name: _what_decides(values["settings"]) for name, values in contents.items()}
        ),
        baselines=read_baselines(baselines, progress),
    )


def _what_decides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that may differ between variants of a dataset, without seeds."""
    return {name: part for name, part in without_seeds(settings).items() if name != "data"}
