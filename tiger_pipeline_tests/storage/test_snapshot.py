import threading
from pathlib import Path

import pytest

from tiger_pipeline.storage.snapshot import snapshot, stamps_of
from tiger_pipeline_tests.storage.remotes import read, write


def test_a_file_stands_for_itself(tmp_path: Path):
    table = tmp_path / "items.parquet"
    table.write_text("rows")
    copy = tmp_path / "scratch" / "copy"
    write(copy, {"left by a killed process": ""})
    with snapshot(table, copy) as stamps:
        table.write_text("other rows, in place")  # a link, not a copy
        table.unlink()
        assert list(stamps) == ["items.parquet"]
        assert stamps["items.parquet"][0] == 4
        assert read(copy) == {"items.parquet": "other rows, in place"}
    assert list((tmp_path / "scratch").iterdir()) == []


def test_scratch_is_left_out(tmp_path: Path):
    model = tmp_path / "model"
    write(model, {"config.json": "{}", "sub/weights": "w"})
    (model / ".writing-config.json-1").write_text("half")
    (model / ".writing-sub-1").mkdir()
    (model / ".writing-sub-1" / "weights").write_text("half")
    assert set(stamps_of(model)) == {"config.json", "sub/weights"}


def test_nothing_has_no_snapshot(tmp_path: Path):
    with pytest.raises(FileNotFoundError), snapshot(tmp_path / "none", tmp_path / "scratch"):
        pass


def test_a_snapshot_of_a_folder_that_is_being_replaced_is_whole(tmp_path: Path):
    work = tmp_path / "work"
    write(work / "state", {"a": "0", "b": "0", "c/d": "0"})
    ended = threading.Event()

    def replace() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            write(work / "state", dict.fromkeys(("a", "b", "c/d"), f"{number}"))

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(150):
            with snapshot(work, tmp_path / "copy") as stamps:
                found = read(tmp_path / "copy")
            assert isinstance(found, dict)
            assert set(found) == set(stamps)
            # Between two renames there is no state; a part of one there never is.
            assert not found or len(found) == 3
            assert len(set(found.values())) <= 1
    finally:
        ended.set()
        thread.join()
