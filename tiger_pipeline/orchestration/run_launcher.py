"""A run launcher that notices when a run's process is gone."""

from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from tiger_pipeline.orchestration.chained_runs import CHAINED_BY_TAG
from tiger_pipeline.orchestration.lost_runs import locks_of

if TYPE_CHECKING:
    from dagster._grpc.client import DagsterGrpcClient


class CodeServerRunLauncher(dg.DefaultRunLauncher):
    """Starts runs inside the code server, as Dagster does by default, and watches over them.

    A code server reports runs whose process died. When the server dies itself (its container is
    restarted, the machine reboots) nobody does: such runs would count as running for ever and keep
    their places in the queue and in the pools. Run monitoring asks this launcher instead. It looks
    at the locks of the run's processes (`lost_runs`) and, where this machine has none, asks the
    code server that the run was started on. An unreachable server is asked again later.

    A `dagster code-server` on another machine forwards the question to the server of the newest
    code only, so that runs that were started before a reload would seem lost: use `dagster api
    grpc` there.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes, other than `DefaultRunLauncher`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a process that executes an unfinished run lives.

        A chained run (`run_asset_job`) lives in the process of the run that started it. A run of
        which there is no lock and that no code server was asked to execute, such as one of
        `dagster asset materialize` on another machine, is left alone.

        Raises:
            DagsterUserCodeUnreachableError: the code server cannot be asked.
        """
        worker = run.tags.get(CHAINED_BY_TAG, run.run_id)
        is_alive = locks_of(self._instance).is_held(run.run_id)
        if is_alive is None:
            is_alive = self._is_alive_elsewhere(run.run_id, worker)
        if is_alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"The process that executed run {worker} is gone."
        )

    def _is_alive_elsewhere(self, run_id: str, worker: str) -> bool:
        if worker != run_id and not self._is_unfinished(worker):
            return False
        client = self._get_grpc_client_for_termination(worker)
        return client is None or _executes(client, worker)

    def _is_unfinished(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        return run is not None and not run.is_finished


def _executes(client: "DagsterGrpcClient", run_id: str) -> bool:
    from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
    from dagster._serdes import deserialize_value

    answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id))
    return deserialize_value(answer, CanCancelExecutionResult).can_cancel
