"""Measure the baselines of a dataset that need no training."""

from pathlib import Path
from typing import TYPE_CHECKING

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.evaluation.baselines.standard import standard_baselines
from tiger_pipeline.evaluation.protocol import evaluate
from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.workflows.baseline_tables import write_baselines

if TYPE_CHECKING:
    import pyarrow as pa


def measure_baselines(
    settings: Settings, sequences: UserSequences, directory: Path, progress: Progress
) -> "pa.Table":
    """Measure every baseline and write `metrics.parquet` and `ranks.parquet` into `directory`.

    Args:
        settings: of the dataset.
        sequences: of all users.
        directory: replaced as a whole.
        progress: where to report.

    Returns:
        The long metrics table of all baselines.
    """
    baselines = standard_baselines(sequences, settings.training.seed)
    results = [
        evaluate(recommender, sequences, settings.evaluation, name, settings.data.split, progress)
        for name, recommender in baselines.items()
    ]
    with atomic_directory(directory) as scratch:
        return write_baselines(scratch, results, sequences)
