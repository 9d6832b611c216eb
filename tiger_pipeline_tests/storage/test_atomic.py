import errno
import os
from pathlib import Path

import pytest

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.atomic import atomic_directory, atomic_file


def test_a_file_appears_when_the_block_ends(tmp_path: Path):
    target = tmp_path / "folder" / "numbers.txt"
    with atomic_file(target) as scratch:
        scratch.write_text("1 2 3")
        assert not target.exists()
    assert target.read_text() == "1 2 3"
    assert os.listdir(target.parent) == ["numbers.txt"]


def test_a_failed_file_leaves_the_earlier_one(tmp_path: Path):
    target = tmp_path / "numbers.txt"
    target.write_text("earlier")
    with pytest.raises(ZeroDivisionError), atomic_file(target) as scratch:
        scratch.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["numbers.txt"]


def test_a_full_disk_is_named(tmp_path: Path):
    target = tmp_path / "numbers.txt"
    with pytest.raises(ArtifactError, match=r"disk that holds .*numbers\.txt is full"):
        with atomic_file(target) as scratch:
            scratch.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_real_full_disk_leaves_nothing(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    target = tmp_path / "numbers.txt"
    with pytest.raises(ArtifactError, match="full"), atomic_file(target) as scratch:
        scratch.symlink_to("/dev/full")
        with open(scratch, "w") as file:
            file.write("x" * 100_000)
    assert os.listdir(tmp_path) == []


def test_a_directory_replaces_the_earlier_one_whole(tmp_path: Path):
    target = tmp_path / "model"
    for generation in ("first", "second"):
        with atomic_directory(target) as scratch:
            (scratch / generation).write_text(generation)
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(target) == ["second"]


def test_a_failed_directory_leaves_the_earlier_one(tmp_path: Path):
    target = tmp_path / "model"
    with atomic_directory(target) as scratch:
        (scratch / "weights").write_text("good")
    with pytest.raises(KeyboardInterrupt), atomic_directory(target) as scratch:
        (scratch / "weights").write_text("half")
        raise KeyboardInterrupt
    assert (target / "weights").read_text() == "good"
    assert os.listdir(tmp_path) == ["model"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(ArtifactError, match="file/below"), atomic_file(blocker / "below"):
        pass
