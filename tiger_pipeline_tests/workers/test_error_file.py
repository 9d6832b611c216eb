from pathlib import Path

import pytest

from tiger_pipeline.errors import InputError
from tiger_pipeline.workers.error_file import ERROR_FILE_VARIABLE, find_error, leave_error


def test_whoever_started_a_worker_finds_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "error.txt"
    assert find_error(path) is None
    monkeypatch.setenv(ERROR_FILE_VARIABLE, str(path))
    leave_error(InputError("Row 3 has no item: “∅”."))
    assert str(find_error(path)) == "Row 3 has no item: “∅”."
    assert capsys.readouterr().err == "tiger: Row 3 has no item: “∅”.\n"


def test_an_error_of_a_worker_started_by_hand_is_only_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(ERROR_FILE_VARIABLE, raising=False)
    leave_error(InputError("Row 3."))
    assert capsys.readouterr().err == "tiger: Row 3.\n"
