"""The services of docker/compose.yaml, for real but without Docker, survive kills."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def has_postgres() -> bool:
    installed = any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed or "TIGER_POSTGRES_BIN" in os.environ or bool(shutil.which("initdb"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own, which only its user may enter: a root user's Postgres is another user."""
    with tempfile.TemporaryDirectory(prefix="tiger_test_") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def processes_of(folder: Path) -> list[str]:
    """Commands of running processes that name a folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(not has_postgres(), reason="needs Postgres (Debian: apt install postgresql)")
def test_the_stack_loses_no_work_when_its_processes_are_killed(folder: Path):
    pytest.importorskip("dagster_postgres")
    done = subprocess.run(
        [sys.executable, CHECKOUT / "scripts" / "check_stack.py"],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed  ") == 4
    assert done.stdout.count("equal to the undisturbed run's") == 2
    assert not list(folder.iterdir())
    assert not processes_of(folder)
