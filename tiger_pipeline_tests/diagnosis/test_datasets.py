from pathlib import Path

import pytest

from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.diagnosis.datasets import check_datasets


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Presets:
    """A dataset with files, one without, and one whose settings are not valid."""
    monkeypatch.setenv("TIGER_DATA", str(tmp_path))
    folder = tmp_path / "presets"
    (folder / "datasets").mkdir(parents=True)
    for name, path in (("here", "here"), ("gone", "gone")):
        (folder / "datasets" / f"{name}.yaml").write_text(
            f"data: {{source: {{format: plain, path: $TIGER_DATA/{path}}}}}\n"
            f"model: {{encoder: {{name: {tmp_path}/encoder_of_{name}}}}}\n"
        )
    (folder / "datasets" / "wrong.yaml").write_text("data: {source: {path: x}, filters: 5}\n")
    (tmp_path / "here").mkdir()
    for file in ("items.tsv", "interactions.tsv"):
        (tmp_path / "here" / file).touch()
    return Presets([folder])


def found(presets: Presets, *asked: str) -> dict[str, tuple[str, str]]:
    return {f.name: (f.level, f.advice) for f in check_datasets(presets, asked)}


def test_what_datasets_lack_is_an_error_only_where_they_are_asked_for(presets: Presets):
    unasked = found(presets)
    assert unasked["here"] == ("ok", "")
    assert unasked["gone"] == ("note", "")
    assert unasked["wrong"][0] == "warning"
    asked = found(presets, "gone", "wrong", "unknown")
    assert asked["gone"][0] == asked["wrong"][0] == asked["unknown"][0] == "error"
    assert "gone does not exist" in asked["gone"][1]
    assert "filters" in asked["wrong"][1]
    assert "no dataset 'unknown'" in asked["unknown"][1]


def test_only_encoders_of_datasets_with_files_are_looked_for(presets: Presets, tmp_path: Path):
    names = found(presets)
    assert names[f"{tmp_path}/encoder_of_here"][0] == "error"
    assert f"{tmp_path}/encoder_of_gone" not in names


def test_a_data_folder_that_is_not_there(presets: Presets, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIGER_DATA", "/no/such/folder")
    assert found(presets)["TIGER_DATA"][0] == "warning"
