"""What every worker process does around its work: joins its group, reports, and ends.

Nothing heavy is imported before `end_with_parent`: a parent may be killed at any moment.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tiger_pipeline.errors import TigerError
from tiger_pipeline.progress import (
    LoggedProgress,
    NoProgress,
    Progress,
    TerminalProgress,
    watched_or_logged,
)
from tiger_pipeline.workers.error_file import leave_error
from tiger_pipeline.workers.parent import end_at_once, end_with_parent

if TYPE_CHECKING:
    from tiger_pipeline.generation.process_group import ProcessGroup

Work = Callable[["ProcessGroup", Progress], dict[str, Any]]
"""What a process does as one of its group, and what it has to say about it (JSON-like)."""

_Report = Callable[[dict[str, Any]], None]


def run_worker(work: Work) -> int:
    """Do `work` as one of the processes that the environment describes.

    The first process reports: to Dagster if an asset started it, else to the terminal.

    Returns:
        The exit status: 0, or 2 after an error that the user can mend.
    """
    end_at_once()
    with _reports() as (progress, report):
        from tiger_pipeline.generation.process_group import open_process_group

        try:
            with open_process_group() as group:
                report(work(group, progress))
        except TigerError as error:
            leave_error(error)
            return 2
    return 0


@contextmanager
def _reports() -> Iterator[tuple[Progress, _Report]]:
    from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

    of_dagster = PipesEnvVarParamsLoader().is_dagster_pipes_process()
    if of_dagster:
        end_with_parent()
    if os.environ.get("RANK", "0") != "0":
        yield NoProgress(), _keep_quiet
    elif of_dagster:
        with open_dagster_pipes() as pipes:
            yield watched_or_logged(pipes.log), pipes.report_custom_message
    else:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        log = logging.getLogger("tiger_pipeline")
        yield (TerminalProgress() if sys.stderr.isatty() else LoggedProgress(log)), _keep_quiet


def _keep_quiet(facts: dict[str, Any]) -> None:
    pass
