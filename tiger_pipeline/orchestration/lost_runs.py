"""Runs whose processes were killed: they are noticed, marked, and lose their places in pools.

Dagster itself leaves this to its daemon, which a run of the command line does without. A killed
run would count as running for ever, and the next one would wait for its place in a pool.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from logging import Logger
from pathlib import Path

import dagster as dg

from tiger_pipeline.configuration.locations import run_locks
from tiger_pipeline.storage.background import repeating
from tiger_pipeline.storage.process_locks import ProcessLocks

_EVERY_SECONDS = 5.0


def locks_of(instance: dg.DagsterInstance) -> ProcessLocks:
    """The locks of the processes that execute runs of this instance, by run id."""
    return run_locks(Path(instance.root_directory))


@contextmanager
def attended(instance: dg.DagsterInstance, run_id: str, log: Logger) -> Iterator[None]:
    """Count the run as alive while the block runs, and clear lost runs away now and then.

    Args:
        instance: that keeps the runs.
        run_id: of the run that this process executes.
        log: of that run; says which runs were lost.
    """
    clear = partial(clear_lost_runs, instance, log)
    with locks_of(instance).hold(run_id):
        clear()
        with repeating(clear, _EVERY_SECONDS):
            yield


def clear_lost_runs(instance: dg.DagsterInstance, log: Logger) -> None:
    """Mark all lost runs as failed and free their places in pools, also those they waited for."""
    try:
        locks_of(instance).clear(partial(_clear, instance, log))
    except Exception as error:  # whatever it is: a healthy run must not fail for a lost one
        log.warning(f"Runs whose processes were killed could not be looked after: {error}")


def _clear(instance: dg.DagsterInstance, log: Logger, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        reason = "The process that executed this run was killed, or its machine stopped."
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, reason)
        else:
            instance.report_run_failed(run, reason)
        log.info(
            f"Run {run_id} was lost: its process was killed, or its machine stopped. It no longer "
            "counts as running, and its places in pools are free."
        )
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
