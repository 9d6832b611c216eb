"""Put all finished variants of a dataset side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.evaluation.leaderboard import (
    build_leaderboard,
    leaderboard_markdown,
    leaderboard_picture,
)
from tiger_pipeline.evaluation.report import (
    METRICS_TABLE,
    RANKS_TABLE,
    read_metrics,
    read_summary,
)
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.storage.tables import read_table, write_table


@dataclass(frozen=True)
class Comparison:
    """A leaderboard as it is shown: names of its variants, Markdown table, PNG picture."""

    variants: list[str]
    markdown: str
    picture: bytes


def compare_variants(reports: Mapping[str, Path], baselines: Path, directory: Path) -> Comparison:
    """Write `leaderboard.parquet`, `leaderboard.md` and `leaderboard.png` into `directory`.

    Args:
        reports: the report folder of each finished variant.
        baselines: the folder of the dataset's baselines.
        directory: replaced as a whole.

    Raises:
        ArtifactError: a report or the baselines are missing or unreadable.
        ArtifactMismatchError: variants were measured under different protocols or on different
            users.
    """
    table = build_leaderboard(
        {name: read_metrics(report) for name, report in reports.items()},
        {name: read_summary(report) for name, report in reports.items()},
        read_table(baselines / METRICS_TABLE),
        {name: read_table(report / RANKS_TABLE) for name, report in reports.items()},
        read_table(baselines / RANKS_TABLE),
    )
    comparison = Comparison(list(reports), leaderboard_markdown(table), leaderboard_picture(table))
    with atomic_directory(directory) as scratch:
        write_table(scratch / "leaderboard.parquet", table)
        (scratch / "leaderboard.md").write_text(comparison.markdown, encoding="utf-8")
        (scratch / "leaderboard.png").write_bytes(comparison.picture)
    return comparison
