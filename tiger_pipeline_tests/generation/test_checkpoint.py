import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.generation.checkpoint import (
    load_generator,
    load_training_history,
    read_description,
    read_fusion,
    save_generator,
)
from tiger_pipeline.generation.config import TrainingConfig
from tiger_pipeline.generation.fusion_network import FusionNetwork
from tiger_pipeline.generation.item_decoder import ItemDecoder
from tiger_pipeline.generation.training import TrainingResult
from tiger_pipeline.storage.fingerprint import fingerprint_files
from tiger_pipeline_tests.generation.catalogs import histories_of, random_semantic_ids
from tiger_pipeline_tests.generation.fusion_networks import random_network
from tiger_pipeline_tests.generation.item_decoders import item_decoder
from tiger_pipeline_tests.generation.test_beam_search import small_model

SEMANTIC_IDS = random_semantic_ids(2)
HISTORY = [{"epoch": 1, "train_loss": 1.5, "valid_ndcg@10": None}]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    model = small_model(SEMANTIC_IDS, seed=1)
    result = TrainingResult(model, HISTORY, 1, 2.5, 99, fingerprint="all its inputs")
    save_generator(tmp_path / "generator", result, TrainingConfig())
    return tmp_path / "generator"


def test_a_loaded_generator_is_the_saved_one(directory: Path) -> None:
    loaded = load_generator(directory, SEMANTIC_IDS)
    saved = small_model(SEMANTIC_IDS, seed=1)
    assert loaded.config == saved.config
    assert not loaded.training
    histories = histories_of([[1, 2, 3]])
    logp = [
        model.encode(model.history_examples(histories).batch(np.array([0]))).logp
        for model in (loaded, saved)
    ]
    assert torch.equal(logp[0], logp[1])
    assert load_training_history(directory) == HISTORY


@pytest.fixture
def item_directory(tmp_path: Path) -> Path:
    result = TrainingResult(item_decoder(SEMANTIC_IDS), HISTORY, 1, 2.5, 99, "all its inputs")
    save_generator(tmp_path / "items", result, TrainingConfig(), random_network(seed=1))
    return tmp_path / "items"


@torch.no_grad()
def test_a_loaded_item_decoder_is_the_saved_one(item_directory: Path) -> None:
    loaded, saved = load_generator(item_directory, SEMANTIC_IDS), item_decoder(SEMANTIC_IDS)
    assert isinstance(loaded, ItemDecoder)
    assert loaded.config == saved.config
    batch = loaded.history_examples(histories_of([[1, 2, 3]])).batch(np.array([0]))
    one, other = loaded.encode(batch), saved.encode(batch)
    assert torch.equal(one.logp, other.logp)
    assert torch.equal(one.item_logp(), other.item_logp())
    fusion, expected = read_fusion(item_directory).tensors(), random_network(seed=1).tensors()
    assert fusion.keys() == expected.keys()
    for name, array in expected.items():
        assert fusion[name].shape == array.shape
        assert np.array_equal(fusion[name], array)


def test_another_fusion_is_another_generator(tmp_path: Path) -> None:
    result = TrainingResult(item_decoder(SEMANTIC_IDS), HISTORY, 1, 2.5, 99, "all its inputs")
    fingerprints = set()
    for fusion in (random_network(seed=1), FusionNetwork.weighted_sum()):
        save_generator(tmp_path, result, TrainingConfig(), fusion)
        fingerprints.add(read_description(tmp_path)["weights_fingerprint"])
    assert len(fingerprints) == 2


def test_text_embeddings_that_are_missing_are_named(item_directory: Path) -> None:
    (item_directory / "text_embeddings.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"text_embeddings\.safetensors is missing or damaged"):
        load_generator(item_directory, SEMANTIC_IDS)


def test_a_missing_fusion_is_named(directory: Path) -> None:
    with pytest.raises(ArtifactError, match=r"fusion\.safetensors is missing or damaged"):
        read_fusion(directory)


def test_a_fusion_of_other_features_is_refused(tmp_path: Path) -> None:
    other = replace(random_network(seed=1), linear=np.zeros(7, dtype=np.float32))
    result = TrainingResult(item_decoder(SEMANTIC_IDS), HISTORY, 1, 2.5, 99, "all its inputs")
    save_generator(tmp_path / "items", result, TrainingConfig(), other)
    with pytest.raises(ArtifactError, match="fitted by another version, for 7 features"):
        read_fusion(tmp_path / "items")


def test_the_directory_describes_itself(directory: Path) -> None:
    assert sorted(path.name for path in directory.iterdir()) == [
        "config.json",
        "history.json",
        "model.safetensors",
    ]
    described = read_description(directory)
    assert described["kind"] == "decoder"
    assert described["training_fingerprint"] == "all its inputs"
    assert described["weights_fingerprint"] == fingerprint_files([directory / "model.safetensors"])
    assert described["semantic_ids_fingerprint"] == SEMANTIC_IDS.fingerprint
    assert described["n_items"] == 30
    assert described["training"] == TrainingConfig().model_dump()


def test_another_catalog_is_refused(directory: Path) -> None:
    with pytest.raises(ArtifactMismatchError, match="checkpoint of another catalog"):
        load_generator(directory, random_semantic_ids(3))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nowhere/config\.json does not exist"):
        load_generator(tmp_path / "nowhere", SEMANTIC_IDS)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_named(directory: Path, name: str) -> None:
    content = (directory / name).read_bytes()
    (directory / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=name):
        load_generator(directory, SEMANTIC_IDS)


def test_weights_that_are_missing_are_named(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors is missing or damaged"):
        load_generator(directory, SEMANTIC_IDS)


def test_settings_of_another_version_are_named(directory: Path) -> None:
    described = json.loads((directory / "config.json").read_text())
    described["config"]["depth_of_dreams"] = 3
    (directory / "config.json").write_text(json.dumps(described))
    with pytest.raises(ArtifactError, match="depth_of_dreams"):
        load_generator(directory, SEMANTIC_IDS)
