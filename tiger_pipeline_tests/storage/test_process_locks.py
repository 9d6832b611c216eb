import os
import shutil
import threading
from pathlib import Path

import pytest

from tiger_pipeline.storage.process_locks import ProcessLocks
from tiger_pipeline_tests.storage.killed_holder import holder, leave_lock


@pytest.fixture
def locks(tmp_path: Path) -> ProcessLocks:
    return ProcessLocks(tmp_path / "locks")


def test_a_name_is_held_while_the_block_runs(locks: ProcessLocks):
    assert locks.is_held("run") is None
    with locks.hold("run"):
        assert locks.is_held("run") is True
        assert locks.is_held("another") is None
    assert locks.is_held("run") is None


def test_nothing_is_left_of_a_block_that_failed(locks: ProcessLocks, tmp_path: Path):
    with pytest.raises(ZeroDivisionError), locks.hold("run"):
        raise ZeroDivisionError
    assert locks.lost() == []
    assert os.listdir(tmp_path / "locks") == ["all.lock"]


def test_a_killed_process_lets_go(locks: ProcessLocks):
    with holder(locks, "run"):
        assert locks.is_held("run") is True
        assert locks.lost() == []
    assert locks.is_held("run") is False
    assert locks.lost() == ["run"]


def test_a_name_is_held_until_its_last_process_is_gone(locks: ProcessLocks):
    with holder(locks, "run"):
        leave_lock(locks, "run")
        assert locks.is_held("run") is True
    assert locks.is_held("run") is False


def test_lost_names_are_cleared_once_and_held_ones_left_alone(locks: ProcessLocks):
    for name in ("run", "run", "another"):
        leave_lock(locks, name)
    cleared: list[str] = []
    with locks.hold("living"):
        locks.clear(cleared.append)
        locks.clear(cleared.append)
        assert locks.is_held("living") is True
    assert sorted(cleared) == ["another", "run"]
    assert locks.is_held("run") is None


def test_a_name_whose_action_fails_is_kept(locks: ProcessLocks):
    leave_lock(locks, "run")

    def fail(name: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        locks.clear(fail)
    assert locks.lost() == ["run"]


def test_nothing_is_made_by_asking(tmp_path: Path):
    locks = ProcessLocks(tmp_path / "locks")
    assert locks.is_held("run") is None
    assert locks.lost() == []
    locks.clear(lambda name: None)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_keeps_nothing_from_running(tmp_path: Path):
    (tmp_path / "file").touch()
    locks = ProcessLocks(tmp_path / "file" / "locks")
    with locks.hold("run"):
        assert locks.is_held("run") is None


def test_what_cannot_be_opened_counts_as_alive(locks: ProcessLocks, tmp_path: Path):
    (tmp_path / "locks" / "run.0.lock").mkdir(parents=True)
    assert locks.is_held("run") is True
    assert locks.lost() == []


def test_a_folder_that_is_removed_meanwhile_harms_nothing(locks: ProcessLocks, tmp_path: Path):
    with locks.hold("run"):
        shutil.rmtree(tmp_path / "locks")
        assert locks.is_held("run") is None
    with locks.hold("run"):
        assert locks.is_held("run") is True


def test_a_name_never_seems_lost_while_it_is_taken_and_left(locks: ProcessLocks):
    """A file is there before it is locked: whoever looks in between must not see it."""
    ended, cleared = threading.Event(), []

    def look() -> None:
        while not ended.is_set():
            locks.clear(cleared.append)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(100):
        with locks.hold("run"):
            pass
    ended.set()
    looking.join()
    assert not cleared
