"""Evaluate the sensor once on the instance of DAGSTER_HOME; write what it requests.

The first argument names the file in which the cursor is kept, the second the file to write: a list
of the requests' run keys and run configs, as JSON.
"""

import json
import sys
from pathlib import Path

import dagster as dg

from tiger_pipeline.definitions import defs


def tick(cursor_file: Path) -> list[dict]:
    cursor = cursor_file.read_text() if cursor_file.exists() else None
    resources = {name: (defs.resources or {})[name] for name in ("store", "settings")}
    with (
        dg.DagsterInstance.get() as instance,
        dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context,
    ):
        decided = defs.resolve_sensor_def("new_items_sensor").evaluate_tick(context)
    assert decided.cursor is not None
    cursor_file.write_text(decided.cursor)
    return [
        {"run_key": request.run_key, "run_config": request.run_config}
        for request in decided.run_requests or []
    ]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(tick(Path(sys.argv[1]))))
