"""Progress of a step: lines in the Dagster log, and bars where a person watches a terminal."""

import dagster as dg

from tiger_pipeline.progress import Progress, watched_or_logged


def progress_of(context: dg.AssetExecutionContext) -> Progress:
    """Bars when `tiger run` asks for them and there is a terminal, else the Dagster log."""
    return watched_or_logged(context.log)
