"""One job for the whole chain of a dataset and a variant.

An asset job takes one kind of partition, the chain has two. This job's step therefore starts the
asset runs one after another, on the same instance, where each shows as a run of its own.
"""

import dagster as dg

from tiger_pipeline.orchestration import jobs
from tiger_pipeline.orchestration.chained_runs import failure_of, run_asset_job
from tiger_pipeline.orchestration.partitions import DatasetVariant
from tiger_pipeline.orchestration.resources import SettingsResource


class WholePipelineConfig(dg.Config):
    """Which chain to run."""

    dataset: str = "demo"
    variant: str = "kmeans_points_100"
    overrides: list[str] = []
    """`section.key=value` strings, such as `training.max_epochs=3`."""


def _run(
    context: dg.OpExecutionContext, config: WholePipelineConfig, job: str, partition_key: str
) -> None:
    result = run_asset_job(context, job, partition_key, config.overrides)
    if not result.success:
        raise failure_of(job, partition_key, result)


@dg.op
def run_all_stages(context: dg.OpExecutionContext, config: WholePipelineConfig) -> None:
    """Start the runs of the dataset's, the variant's and the leaderboard's assets, in order."""
    # Refuse a wrong name or setting before any work is done.
    SettingsResource(overrides=config.overrides).for_variant(
        DatasetVariant(config.dataset, config.variant)
    )
    both = dg.MultiPartitionKey({"dataset": config.dataset, "variant": config.variant})
    _run(context, config, jobs.prepare_dataset.name, config.dataset)
    _run(context, config, jobs.run_variant.name, both)
    _run(context, config, jobs.compare_variants.name, config.dataset)


@dg.job(description=__doc__)
def whole_pipeline() -> None:
    """Chain the three asset jobs of a dataset and a variant."""
    run_all_stages()
