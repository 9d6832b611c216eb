"""A worker whose parent is killed ends, too; no heavy import is needed to see it."""

import os
import signal
import subprocess
import sys
import time

import pytest

CHILD = """
import time
from tiger_pipeline.workers.parent import *
{}
print("up", flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux to look at processes")
@pytest.mark.parametrize("watches", [True, False])
def test_a_worker_ends_with_its_parent(watches: bool) -> None:
    program = CHILD.format("end_with_parent()" if watches else "None")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, program], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert is_alive(child)
        parent.kill()
        parent.wait()
        give_up = time.monotonic() + (30 if watches else 3)
        while is_alive(child) and time.monotonic() < give_up:
            time.sleep(0.1)
        assert is_alive(child) != watches
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_sigint_ends_a_worker_at_once() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format("end_at_once()")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == -signal.SIGINT
