"""Dagster's own executor, with an eye on runs that were lost."""

from collections.abc import Iterator

import dagster as dg
from dagster._check import not_none
from dagster._core.events import EngineEventData
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.executor.init import InitExecutorContext

from tiger_pipeline.orchestration.lost_runs import attended, locks_of

_DAGSTERS = dg.multi_or_in_process_executor


class AttendedExecutor(dg.Executor):
    """Executes as another executor does; the run counts as alive, and lost ones are cleared away.

    When a step has to wait for its place in a pool, the log says which run has it.
    """

    def __init__(self, executor: dg.Executor) -> None:
        self._executor = executor

    @property
    def retries(self) -> RetryMode:
        """As the other executor has it."""
        return self._executor.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """As the other executor has it."""
        return self._executor.step_dependency_config

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Execute the steps; see `dagster.Executor`."""
        with attended(plan_context.instance, plan_context.run_id, plan_context.log):
            for event in self._executor.execute(plan_context, execution_plan):
                yield event
                if pool := _pool_waited_for(event):
                    holders = _holders(plan_context.instance, pool)
                    plan_context.log.info(
                        f"Step {event.step_key} waits for a place in the pool {pool}. {holders}"
                    )


def _pool_waited_for(event: dg.DagsterEvent) -> str | None:
    """Name of the pool, where the event says that a step has to wait."""
    data = event.event_specific_data
    if event.step_key is None or not isinstance(data, EngineEventData):
        return None
    pool = data.metadata.get("pool")
    return pool.pool if isinstance(pool, dg.PoolMetadataValue) else None


def _holders(instance: dg.DagsterInstance, pool: str) -> str:
    """Who has the places of a pool, and what to do where they may be had by a dead run."""
    locks, sentences = locks_of(instance), []
    for slot in instance.event_log_storage.get_concurrency_info(pool).claimed_slots:
        sentences.append(f"Step {slot.step_key} of run {slot.run_id} has one.")
        if locks.is_held(slot.run_id) is None:
            sentences.append(
                "Nothing here says whether that run is alive. If it is not, free its place in the "
                f"UI: Deployment, Concurrency, {pool}."
            )
    return " ".join(sentences)


def _create(context: InitExecutorContext) -> dg.Executor:
    return AttendedExecutor(not_none(_DAGSTERS.executor_creation_fn)(context))


attended_executor = dg.ExecutorDefinition(
    name=_DAGSTERS.name,
    config_schema=_DAGSTERS.config_schema.as_field(),
    requirements=_DAGSTERS.get_requirements,
    executor_creation_fn=_create,
    description=AttendedExecutor.__doc__,
)
"""Takes the run configuration of the executor that Dagster uses by default."""
