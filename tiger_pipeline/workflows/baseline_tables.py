"""The measured baselines of a dataset: writing them, and reading those that belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.evaluation.baselines.sasrec_checkpoint import read_sasrec_description
from tiger_pipeline.evaluation.baselines.standard import SASREC
from tiger_pipeline.evaluation.protocol import EvaluationResult
from tiger_pipeline.evaluation.report import METRICS_TABLE, RANKS_TABLE, read_metrics
from tiger_pipeline.evaluation.result_tables import PROTOCOL_COLUMNS
from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.fingerprint import fingerprint_array, fingerprint_json
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import metadata_of, read_table, with_metadata, write_table

if TYPE_CHECKING:
    import pyarrow as pa

_INTERACTIONS = "interactions_fingerprint"


@dataclass(frozen=True)
class BaselineFolders:
    """Where the baselines of a dataset are.

    Attributes:
        standard: written by `baselines.measure_baselines`.
        sasrec: written by `sasrec.measure_sasrec`; need not exist.
    """

    standard: Path
    sasrec: Path

    @classmethod
    def of(cls, store: ArtifactStore, dataset: str) -> "BaselineFolders":
        """The folders in `store`, fetched."""
        return cls(
            standard=store.fetch(store.directory("baseline_metrics", dataset)),
            sasrec=store.fetch(store.directory("sasrec_baseline", dataset)),
        )


@dataclass(frozen=True)
class Baselines:
    """All baselines of a dataset.

    Attributes:
        metrics: long table (`result_tables.metrics_table`).
        ranks: long table (`result_tables.ranks_table`).
        summaries: of the trained ones, by name; some of `report_inputs.SUMMARY_FIELDS`.
    """

    metrics: "pa.Table"
    ranks: "pa.Table"
    summaries: Mapping[str, Mapping[str, Any]]


def write_baselines(
    directory: Path, results: Sequence[EvaluationResult], sequences: UserSequences
) -> "pa.Table":
    """Write `metrics.parquet`, marked with what was measured on, and `ranks.parquet`.

    Args:
        directory: an existing directory, made whole by the caller (`storage.atomic_directory`).
        results: one a baseline.
        sequences: that they were measured on.

    Returns:
        The long metrics table of all of them.
    """
    import pyarrow as pa

    metrics = pa.concat_tables([result.metrics for result in results])
    metrics = with_metadata(metrics, {_INTERACTIONS: _fingerprint(sequences)})
    write_table(directory / METRICS_TABLE, metrics)
    write_table(directory / RANKS_TABLE, pa.concat_tables([result.ranks for result in results]))
    return metrics


def read_baselines(folders: BaselineFolders, progress: Progress) -> Baselines:
    """The standard baselines, and SASRec where it was measured on the same interactions.

    `tiger run` measures the standard ones anew but leaves SASRec alone: one that is out of date
    is left out, with a note, instead of stopping the run.

    Raises:
        ArtifactError: the standard baselines are missing, or a file is unreadable.
    """
    import pyarrow as pa

    metrics = read_metrics(folders.standard)
    ranks = read_table(folders.standard / RANKS_TABLE)
    if not folders.sasrec.is_dir():
        return Baselines(metrics, ranks, {})
    sasrec_metrics = read_table(folders.sasrec / METRICS_TABLE)
    if _measured_on(sasrec_metrics) != _measured_on(metrics):
        progress.note(
            f"The SASRec in {folders.sasrec} was measured on other interactions or in another way "
            "than the other baselines: it is left out. Materialize `baseline_metrics` and "
            "`sasrec_baseline` again."
        )
        return Baselines(metrics, ranks, {})
    described = read_sasrec_description(folders.sasrec)
    summary = {name: described[name] for name in ("parameters", "best_epoch", "seed")}
    return Baselines(
        pa.concat_tables([metrics, sasrec_metrics]),
        pa.concat_tables([ranks, read_table(folders.sasrec / RANKS_TABLE)]),
        {SASREC: {**summary, "training_seconds": described["seconds"]}},
    )


def _measured_on(metrics: "pa.Table") -> tuple[str | None, list[str], set[tuple[Any, ...]]]:
    """The interactions' fingerprint, the columns, and every protocol with metrics and cutoffs."""
    rows = metrics.select([*PROTOCOL_COLUMNS, "metric", "k"]).to_pylist()
    protocols = {tuple(row.values()) for row in rows}
    return metadata_of(metrics).get(_INTERACTIONS), metrics.column_names, protocols


def _fingerprint(sequences: UserSequences) -> str:
    arrays = (sequences.offsets, sequences.items, sequences.splits)
    names = (sequences.user_ids.tolist(), sequences.item_ids.tolist())
    return fingerprint_json([*(fingerprint_array(array) for array in arrays), *names])
