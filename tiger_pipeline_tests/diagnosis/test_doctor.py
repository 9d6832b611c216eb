import json

import pytest

from tiger_pipeline.cli import main
from tiger_pipeline.diagnosis.doctor import as_json, as_table, is_runnable
from tiger_pipeline.diagnosis.finding import Finding

FINE = Finding("Software", "Python", "3.11.7")
NOTED = Finding("Data", "beauty", "no files", "note")
BAD = Finding("Data", "a name that is longer than its column", "gone " * 30, "error", "Do " * 40)
MEDIOCRE = Finding("Data", "memory", "little", "warning", "Get more.")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_table_fits_its_width_and_holds_everything(width):
    lines = as_table([FINE, NOTED, BAD, MEDIOCRE], width).splitlines()
    assert max(map(len, lines)) <= max(width, 80)
    assert lines[0] == "Software"
    assert lines[1].split() == ["ok", "Python", "3.11.7"]
    assert lines.count("Data") == 1
    text = " ".join(lines)
    assert text.count("gone") == 30
    assert text.count("Do ") + text.count("Do\n") == 40
    assert lines[-1].startswith("1 error, 1 warning: no run is possible")


def test_a_path_is_never_broken():
    path = "/a-long/" * 20
    assert path in as_table([Finding("Places", "store", f"{path} is full")], 80)


@pytest.mark.parametrize(
    ("findings", "last"),
    [
        ([FINE, NOTED], "Nothing is wrong: runs are possible."),
        ([MEDIOCRE, MEDIOCRE], "2 warnings: runs are possible."),
    ],
)
def test_the_summary(findings, last):
    assert as_table(findings).splitlines()[-1] == last
    assert is_runnable(findings)


def test_json_holds_the_same():
    document = json.loads(as_json([FINE, BAD]))
    assert document["runnable"] is False
    assert [Finding(**finding) for finding in document["findings"]] == [FINE, BAD]


def test_the_command_tells_what_is_here(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TIGER_STORE", str(tmp_path))
    monkeypatch.delenv("TIGER_DEVICE", raising=False)
    assert main(["doctor", "demo", "--json"]) == 0
    names = {finding["name"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert {"Python", "torch", "faiss", "will use", "artifact store", "demo"} <= names
    assert not list(tmp_path.iterdir())


def test_the_command_fails_where_a_run_would(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TIGER_STORE", str(tmp_path / "file" / "store"))
    monkeypatch.setenv("TIGER_DEVICE", "tpu")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "is a file" in printed
    assert "TIGER_DEVICE is 'tpu'" in printed
