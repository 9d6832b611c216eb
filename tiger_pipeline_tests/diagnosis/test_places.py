from pathlib import Path

import pytest

from tiger_pipeline.diagnosis.places import check_folder, check_store

GIB = 2**30


@pytest.mark.parametrize(
    ("free", "level"), [(100 * GIB, "ok"), (3 * GIB, "warning"), (GIB // 10, "error")]
)
def test_room_on_the_disk(tmp_path: Path, free: int, level: str):
    finding = check_folder("store", tmp_path / "a" / "b", "TIGER_STORE", lambda _: free)
    assert finding.level == level
    assert finding.value == f"{tmp_path / 'a' / 'b'}, {free / GIB:.1f} GiB free"
    assert ("TIGER_STORE" in finding.advice) == (level != "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_an_error(tmp_path: Path):
    (tmp_path / "file").touch()
    finding = check_folder("store", tmp_path / "file" / "store", "TIGER_STORE")
    assert finding.level == "error"
    assert "is a file" in finding.value
    assert "TIGER_STORE" in finding.advice


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux")
def test_a_folder_that_cannot_be_written_to_is_an_error():
    finding = check_folder("store", Path("/proc/self/store"), "TIGER_STORE")
    assert finding.level == "error"
    assert "not writable" in finding.value


def test_the_store_is_where_its_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIGER_STORE", str(tmp_path / "here"))
    [finding] = check_store()
    assert finding.value.startswith(str(tmp_path / "here"))
    assert not (tmp_path / "here").exists()


def test_a_store_at_a_url_is_asked_and_its_copies_need_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "bucket").mkdir()
    monkeypatch.setenv("TIGER_CACHE", str(tmp_path / "copies"))
    monkeypatch.setenv("TIGER_STORE", f"file://{tmp_path}/bucket")
    copies, store = check_store()
    assert (copies.level, store.level) == ("ok", "ok")
    assert copies.value.startswith(str(tmp_path / "copies"))
    assert store.value == f"file://{tmp_path}/bucket, 0 datasets"


def test_a_store_without_a_package_for_its_protocol_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TIGER_CACHE", str(tmp_path))
    monkeypatch.setenv("TIGER_STORE", "nosuch://user:secret@host/bucket")
    *_, store = check_store()
    assert store.level == "error"
    assert "nosuch" in store.advice
    assert "secret" not in store.value + store.advice
