"""The folder of Dagster's records and its `dagster.yaml`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tiger_pipeline.configuration.locations import dagster_home, run_locks
from tiger_pipeline.diagnosis.finding import Finding
from tiger_pipeline.diagnosis.places import check_folder

_AREA = "Dagster"
_VARIABLE = "DAGSTER_HOME"
_SHIPPED = "Copy dagster_home/dagster.yaml of this project there."


def check_dagster_home() -> Iterator[Finding]:
    """Whether Dagster can keep its records, and how it is set up."""
    given = os.environ.get(_VARIABLE)
    if given and not Path(given).is_absolute():
        advice = 'Dagster wants an absolute path, such as "$PWD/dagster_home".'
        yield Finding(_AREA, _VARIABLE, f"{given} is not absolute", "error", advice)
        return
    folder = dagster_home()
    writable = check_folder(_VARIABLE, folder, _VARIABLE)
    yield writable
    if writable.level == "error":
        return
    if not given:
        advice = "Without it, `dagster dev` and `dagster asset materialize` keep no records."
        yield Finding(
            _AREA, f"{_VARIABLE} is set", "no; `tiger run` uses the above", "note", advice
        )
    yield from check_dagster_yaml(folder / "dagster.yaml")
    yield from check_lost_runs(folder)


def check_lost_runs(folder: Path) -> Iterator[Finding]:
    """Runs whose processes were killed, which Dagster may still count as running."""
    if lost := run_locks(folder).lost():
        advice = "The next run marks them as failed and frees their places in pools."
        yield Finding(_AREA, "killed runs", ", ".join(lost), "note", advice)


def check_dagster_yaml(path: Path) -> Iterator[Finding]:
    """The limits and the telemetry that an instance is configured with."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        advice = f"Steps that share a GPU may then run at the same time. {_SHIPPED}"
        yield Finding(_AREA, "dagster.yaml", f"{path} is missing", "warning", advice)
        return
    except (OSError, ValueError, yaml.YAMLError) as error:
        advice = f"Mend it, or remove it. {_SHIPPED}"
        yield Finding(_AREA, "dagster.yaml", f"{path} is not readable: {error}", "error", advice)
        return
    yield _pool_limit(_within(values, "concurrency", "pools", "default_limit"))
    yield _telemetry(_within(values, "telemetry", "enabled"))


def _pool_limit(limit: Any) -> Finding:
    if isinstance(limit, int) and limit > 0:
        return Finding(_AREA, "pool limit", f"{limit} step at a time in the pool `gpu`")
    advice = (
        "Two trainings may meet on one GPU. Set concurrency.pools.default_limit to 1, or run "
        "`dagster instance concurrency set gpu 1`."
    )
    return Finding(_AREA, "pool limit", "none in dagster.yaml", "warning", advice)


def _telemetry(enabled: Any) -> Finding:
    if enabled is False:
        return Finding(_AREA, "telemetry", "off")
    advice = "`dagster dev` sends usage data: set telemetry.enabled to false in dagster.yaml."
    return Finding(_AREA, "telemetry", "on", "warning", advice)


def _within(values: Any, *keys: str) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
