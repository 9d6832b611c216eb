from pathlib import Path

import pytest

from tiger_pipeline.configuration.locations import run_locks
from tiger_pipeline.diagnosis.dagster_home import (
    check_dagster_home,
    check_dagster_yaml,
    check_lost_runs,
)
from tiger_pipeline_tests.storage.killed_holder import leave_lock

SHIPPED = Path(__file__).parents[2] / "dagster_home" / "dagster.yaml"


def levels(findings) -> dict[str, str]:
    return {finding.name: finding.level for finding in findings}


def test_the_shipped_configuration_is_fine():
    assert levels(check_dagster_yaml(SHIPPED)) == {"pool limit": "ok", "telemetry": "ok"}


def test_what_dagster_does_by_default_is_pointed_out(tmp_path: Path):
    path = tmp_path / "dagster.yaml"
    path.write_text("telemetry: {}\nconcurrency: [1]\n")
    found = list(check_dagster_yaml(path))
    assert levels(found) == {"pool limit": "warning", "telemetry": "warning"}
    assert all(finding.advice for finding in found)


@pytest.mark.parametrize("text", ["a: [", "\xff\xfe"])
def test_a_broken_file_is_an_error(tmp_path: Path, text: str):
    path = tmp_path / "dagster.yaml"
    path.write_text(text, encoding="latin-1")
    assert levels(check_dagster_yaml(path)) == {"dagster.yaml": "error"}


def test_a_home_without_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert levels(check_dagster_home()) == {"DAGSTER_HOME": "ok", "dagster.yaml": "warning"}


def test_a_relative_home_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DAGSTER_HOME", "home")
    (finding,) = check_dagster_home()
    assert finding.level == "error"
    assert "absolute" in finding.advice


def test_a_home_that_cannot_be_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file" / "home"))
    (finding,) = check_dagster_home()
    assert finding.level == "error"
    assert "DAGSTER_HOME" in finding.advice


def test_looking_at_a_home_does_not_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    assert levels(check_dagster_home()) == {"DAGSTER_HOME": "ok", "dagster.yaml": "warning"}
    assert not list(tmp_path.iterdir())


def test_runs_whose_processes_were_killed_are_noted(tmp_path: Path):
    leave_lock(run_locks(tmp_path), "some_run")
    with run_locks(tmp_path).hold("living_run"):
        (finding,) = check_lost_runs(tmp_path)
    assert (finding.level, finding.value) == ("note", "some_run")
    assert "next run" in finding.advice


def test_no_home_is_only_noted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert levels(check_dagster_home())["DAGSTER_HOME is set"] == "note"
