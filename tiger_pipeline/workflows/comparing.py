"""Put all finished variants of a dataset side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.evaluation.leaderboard import leaderboard_markdown, leaderboard_picture
from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.storage.tables import write_table
from tiger_pipeline.workflows.baseline_tables import BaselineFolders
from tiger_pipeline.workflows.finished_runs import read_finished_runs


@dataclass(frozen=True)
class Comparison:
    """A leaderboard as it is shown: names of its variants, Markdown table, PNG picture."""

    variants: list[str]
    markdown: str
    picture: bytes


def compare_variants(
    reports: Mapping[str, Path], baselines: BaselineFolders, directory: Path, progress: Progress
) -> Comparison:
    """Write `leaderboard.parquet`, `leaderboard.md` and `leaderboard.png` into `directory`.

    Args:
        reports: the report folder of each finished variant.
        baselines: the folders of the dataset's baselines.
        directory: replaced as a whole.
        progress: where to report.

    Raises:
        ArtifactError: a report or the baselines are missing or unreadable.
        ArtifactMismatchError: variants were measured under different protocols or on different
            users.
    """
    table = read_finished_runs(reports, baselines, progress).leaderboard()
    comparison = Comparison(list(reports), leaderboard_markdown(table), leaderboard_picture(table))
    with atomic_directory(directory) as scratch:
        write_table(scratch / "leaderboard.parquet", table)
        (scratch / "leaderboard.md").write_text(comparison.markdown, encoding="utf-8")
        (scratch / "leaderboard.png").write_bytes(comparison.picture)
    return comparison
