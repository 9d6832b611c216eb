"""Steps whose network runs in processes of its own, started through Dagster Pipes."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.workers.error_file import ERROR_FILE_VARIABLE, find_error

PROCESSES_VARIABLE = "TIGER_PROCESSES"

_IN_STEP, _ONE_A_GPU = "in_step", "auto"


class ProcessesResource(dg.ConfigurableResource):
    """In which processes generators are trained and texts are encoded."""

    count: str = ""
    """`in_step`: in the step's own process. A number: in as many processes of their own, which
    leave no GPU memory behind. `auto`: one process a GPU. Empty: `TIGER_PROCESSES`, or in_step."""

    @property
    def in_step(self) -> bool:
        """Whether no process is started."""
        return self._chosen() == _IN_STEP

    def run(
        self,
        context: dg.AssetExecutionContext,
        worker: str,
        arguments: list[str],
        store: ArtifactStore,
    ) -> dict[str, Any]:
        """Run `tiger_pipeline.workers.WORKER`; its log is the step's, and it ends with the step.

        Args:
            context: of the step.
            worker: module.
            arguments: of its command line.
            store: in whose folder it finds its inputs and leaves what it makes.

        Returns:
            What the worker reports of its work.

        Raises:
            TigerError: the worker's own, or `count` is no number of processes.
            Failure: the worker crashed or was killed.
        """
        command = [*self._command(worker), *arguments]
        with tempfile.TemporaryDirectory() as folder:
            error_file = Path(folder) / "error.txt"
            environment = {
                ERROR_FILE_VARIABLE: str(error_file),
                "TIGER_STORE": str(store.root),
            }
            try:
                client = dg.PipesSubprocessClient(env=environment)
                done = client.run(context=context, command=command)
            except Exception as error:  # Dagster exports no class for a process that failed
                raise find_error(error_file) or dg.Failure(
                    f"The processes of {worker!r} crashed or were killed ({error}). What they "
                    "wrote is in the step's log: 'stderr' in the UI. Materialize the asset again: "
                    "it goes on with what is finished."
                ) from error
        (facts,) = done.get_custom_messages()
        return facts

    def _command(self, worker: str) -> list[str]:
        python, module = [sys.executable, "-m"], f"tiger_pipeline.workers.{worker}"
        count = self._count()
        if count == 1:
            return [*python, module]
        launch = ["tiger_pipeline.workers.launch", "--standalone", "--nproc-per-node", str(count)]
        return [*python, *launch, "-m", module]

    def _count(self) -> int:
        chosen = self._chosen()
        if chosen == _ONE_A_GPU:
            from tiger_pipeline.generation.process_group import one_process_a_gpu

            return one_process_a_gpu()
        if not chosen.isdecimal() or int(chosen) == 0:
            raise ConfigurationError(
                f"{chosen!r} is no number of processes. Set the resource processes.count, or "
                f"{PROCESSES_VARIABLE}, to {_IN_STEP}, {_ONE_A_GPU}, or a number from 1 on."
            )
        return int(chosen)

    def _chosen(self) -> str:
        return self.count or os.environ.get(PROCESSES_VARIABLE) or _IN_STEP
