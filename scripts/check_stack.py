#!/usr/bin/env python3
"""Prove docker/compose.yaml's stack without Docker (Linux).

Starts what the compose file starts, as processes of this machine: a throw-away Postgres, the
migration, code server, webserver and daemon, with the commands, health checks, dagster.yaml and
workspace.yaml that are shipped; only addresses and paths differ. Then, through the GraphQL API:

  1. materializes the demo,
  2. kills a run's process in mid-training: retried, resumed, same weights and metrics,
  3. kills a step's process, then the code server: retried twice, resumed, same weights and metrics,
  4. kills the daemon: what was queued is executed.

Needs Postgres' programs (Debian: apt install postgresql; elsewhere name their folder in
TIGER_POSTGRES_BIN) and `pip install -e '.[cpu,deploy]'`. Takes some minutes. Exit status: 0 all
checks passed, 1 one failed, 2 something is missing. At the end nothing runs and no file is left;
when a check fails, the services' logs are kept.
"""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.checks import Checks
from stack.graphql import Api
from stack.postgres import find_binaries, running_postgres
from stack.services import Stack
from stack.waiting import CheckFailed

STARTS_WITHIN = 120.0
"""Seconds."""


def main() -> int:
    """Run all checks; returns the exit status."""
    binaries = find_binaries()
    if binaries is None:
        print("check_stack: no Postgres found (Debian: apt install postgresql)", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="tiger_stack_"))
    passed: list[str] = []
    try:
        with running_postgres(binaries) as port, running_stack(folder, port) as (stack, api):
            checks = Checks(stack, api)
            for title, check in (
                ("The demo is materialized", checks.materialize_the_demo),
                ("A killed run", checks.kill_the_run),
                (
                    "A killed step, a killed code server",
                    checks.kill_the_training_and_the_code_server,
                ),
                ("A killed daemon", checks.kill_the_daemon),
            ):
                passed.append(_report(title, check))
    except CheckFailed as error:
        kept = Path(tempfile.mkdtemp(prefix="tiger_stack_logs_"))
        shutil.copytree(folder / "logs", kept, dirs_exist_ok=True)
        print(f"FAILED  {error}\n\n{len(passed)} of 4 checks passed. Logs: {kept}")
        return 1
    except KeyboardInterrupt:
        print("Interrupted: everything is shut down.")
        return 1
    finally:
        shutil.rmtree(folder)
    print(f"\nAll {len(passed)} checks passed; everything is shut down.")
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _report(title: str, check: Callable[[], str]) -> str:
    started = time.monotonic()
    detail = check()
    print(f"passed  {title} ({time.monotonic() - started:.0f} s): {detail}", flush=True)
    return title


@contextmanager
def running_stack(folder: Path, postgres_port: int) -> Iterator[tuple[Stack, Api]]:
    """Start the services in the order of the compose file; stop them when the block ends."""
    stack = Stack(folder, postgres_port)
    try:
        stack.prepare()
        started = time.monotonic()
        stack.migrate()
        for name in ("code", "webserver", "daemon"):
            stack.start(name, STARTS_WITHIN)
        api = Api(f"http://127.0.0.1:{stack.web_port}")
        api.wait_for_location(STARTS_WITHIN)
        names = ", ".join(stack.services)
        print(f"started {names} ({time.monotonic() - started:.0f} s); all healthy", flush=True)
        yield stack, api
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
