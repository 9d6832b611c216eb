"""The run launcher tells living runs from lost ones."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import WorkerStatus

from tiger_pipeline.orchestration.chained_runs import CHAINED_BY_TAG
from tiger_pipeline.orchestration.lost_runs import locks_of
from tiger_pipeline.orchestration.run_launcher import CodeServerRunLauncher
from tiger_pipeline_tests.storage.killed_holder import holder

SERVER_TAG = ".dagster/grpc_info"
DEFINITIONS = "import dagster as dg\n\n@dg.job\ndef nothing(): ...\n"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def launcher(instance: dg.DagsterInstance) -> CodeServerRunLauncher:
    launcher = CodeServerRunLauncher()
    launcher.register_instance(instance)
    return launcher


def add_run(
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
) -> dg.DagsterRun:
    run_id = dg._core.utils.make_new_run_id()
    return instance.add_run(dg.DagsterRun("a_job", run_id=run_id, status=status, tags=tags))


def started_on(port: int) -> dict[str, str]:
    """The tag that a run gets when a code server is asked to execute it."""
    return {SERVER_TAG: json.dumps({"host": "127.0.0.1", "port": port})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_run_of_the_command_line_is_left_alone(instance, launcher):
    health = launcher.check_run_worker_health(add_run(instance, {}))
    assert health.status == WorkerStatus.RUNNING


def test_a_chained_run_is_lost_with_the_run_that_executed_it(instance, launcher):
    parent = add_run(instance, started_on(1), dg.DagsterRunStatus.FAILURE)
    health = launcher.check_run_worker_health(add_run(instance, {CHAINED_BY_TAG: parent.run_id}))
    assert health.status == WorkerStatus.NOT_FOUND
    assert parent.run_id in str(health.msg)


def test_a_chained_run_of_the_command_line_is_left_alone(instance, launcher):
    parent = add_run(instance, {})
    health = launcher.check_run_worker_health(add_run(instance, {CHAINED_BY_TAG: parent.run_id}))
    assert health.status == WorkerStatus.RUNNING


@pytest.mark.parametrize("tags", [{}, started_on(1)])
def test_the_locks_of_a_run_come_before_what_a_server_says(instance, launcher, tags):
    run = add_run(instance, tags)
    with holder(locks_of(instance), run.run_id):
        assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    assert launcher.check_run_worker_health(run).status == WorkerStatus.NOT_FOUND


def test_an_unreachable_server_says_nothing_about_its_runs(instance, launcher):
    run = add_run(instance, started_on(free_port()))
    with pytest.raises(DagsterUserCodeUnreachableError):
        launcher.check_run_worker_health(run)


@pytest.mark.slow
def test_a_run_that_the_server_does_not_know_is_lost(instance, launcher, tmp_path: Path):
    (tmp_path / "definitions.py").write_text(DEFINITIONS)
    port = free_port()
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "dagster", "api", "grpc", "--host", "127.0.0.1"),
            *("--port", str(port), "--python-file", "definitions.py"),
        ],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    run = add_run(instance, started_on(port))
    try:
        deadline = time.monotonic() + 60
        health = None
        while health is None and time.monotonic() < deadline:
            try:
                health = launcher.check_run_worker_health(run)
            except DagsterUserCodeUnreachableError:
                time.sleep(0.3)
    finally:
        server.kill()
        server.wait(30)
    assert health is not None
    assert health.status == WorkerStatus.NOT_FOUND
