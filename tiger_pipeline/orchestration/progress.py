"""Progress of a step: lines in the Dagster log, and bars where a person watches a terminal."""

import os

import dagster as dg

from tiger_pipeline.progress import (
    PROGRESS_BAR_VARIABLE,
    LoggedProgress,
    Progress,
    TerminalProgress,
)


def progress_of(context: dg.AssetExecutionContext) -> Progress:
    """Bars when `tiger run` asks for them and there is a terminal, else the Dagster log.

    Dagster captures a step's own output, so bars are drawn on the controlling terminal itself.
    """
    if os.environ.get(PROGRESS_BAR_VARIABLE):
        try:
            return TerminalProgress(open("/dev/tty", "w", encoding="utf-8"))
        except OSError:
            pass  # no controlling terminal (a container, a scheduler): the log it is
    return LoggedProgress(context.log)
