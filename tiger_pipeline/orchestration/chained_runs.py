"""Asset runs that an op starts one after another, because one job takes one kind of partition."""

import uuid
from collections.abc import Sequence

import dagster as dg

from tiger_pipeline.orchestration.lost_runs import attended

CHAINED_BY_TAG = "tiger/chained_by"
"""Tag of a run that an op executes in its own process: the id of the op's run."""


def run_asset_job(
    context: dg.OpExecutionContext,
    job: str,
    partition_key: str,
    overrides: Sequence[str] = (),
) -> dg.ExecuteInProcessResult:
    """Run an asset job of this code location in the step's own process, as a run of its own.

    Args:
        context: of the op.
        job: name of the asset job.
        partition_key: of all its assets.
        overrides: `section.key=value` strings for the resource `settings`.
    """
    context.log.info(f"Running {job} for {partition_key}")
    run_id = str(uuid.uuid4())
    with attended(context.instance, run_id, context.log):
        return context.repository_def.get_job(job).execute_in_process(
            run_config={"resources": {"settings": {"config": {"overrides": list(overrides)}}}},
            run_id=run_id,
            partition_key=partition_key,
            # The run that chains is what is retried when the process dies.
            tags={CHAINED_BY_TAG: context.run_id, "dagster/max_retries": "0"},
            instance=context.instance,
            raise_on_error=False,
        )


def failure_of(job: str, partition_key: str, result: dg.ExecuteInProcessResult) -> dg.Failure:
    """The failure of an op whose asset run failed; its run has the reason."""
    return dg.Failure(
        f"{job} failed for {partition_key}; see its run {result.run_id} for the reason.",
        allow_retries=False,
    )
