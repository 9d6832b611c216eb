"""One job for the whole chain of a dataset and a variant.

An asset job takes one kind of partition, the chain has two. This job's step therefore starts the
asset runs one after another, on the same instance, where each shows as a run of its own.
"""

import dagster as dg

from tiger_pipeline.orchestration import jobs
from tiger_pipeline.orchestration.partitions import DatasetVariant
from tiger_pipeline.orchestration.resources import SettingsResource


class WholePipelineConfig(dg.Config):
    """Which chain to run."""

    dataset: str = "demo"
    variant: str = "kmeans_points_100"
    overrides: list[str] = []
    """`section.key=value` strings, such as `training.max_epochs=3`."""


def _run(
    context: dg.OpExecutionContext,
    config: WholePipelineConfig,
    job: str,
    partition_key: str,
) -> None:
    """Run an asset job of this code location in the step's own process."""
    context.log.info(f"Running {job} for {partition_key}")
    result = context.repository_def.get_job(job).execute_in_process(
        run_config={"resources": {"settings": {"config": {"overrides": config.overrides}}}},
        partition_key=partition_key,
        instance=context.instance,
        raise_on_error=False,
    )
    if not result.success:
        raise dg.Failure(
            f"{job} failed for {partition_key}; see its run {result.run_id} for the reason.",
            allow_retries=False,
        )


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
