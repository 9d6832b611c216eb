import json

import numpy as np
import pytest

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.quantization.config import (
    BalancedResidualKMeansConfig,
    ProductKMeansConfig,
    ProductVaeConfig,
    RandomConfig,
    ResidualKMeansConfig,
    ResidualVaeConfig,
)
from tiger_pipeline.quantization.quantizer import (
    fit_quantizer,
    load_quantizer,
    read_quantizer_metadata,
    read_training_history,
    save_quantizer,
)
from tiger_pipeline_tests.quantization.synthetic import blobs

VECTORS = blobs(120, 5, centers=10, seed=0)
CONFIGS = [
    RandomConfig(levels=2, codewords=8, seed=3),
    ResidualKMeansConfig(levels=2, codewords=8, iterations=3, normalize="none"),
    BalancedResidualKMeansConfig(levels=2, codewords=8, iterations=3, balance=1.2),
    ProductKMeansConfig(levels=2, codewords=8, iterations=3),
    ResidualVaeConfig(levels=2, codewords=8, hidden=(6,), code_dimension=4, epochs=2),
    ProductVaeConfig(levels=2, codewords=8, hidden=(), code_dimension=4, epochs=2, codebook="ema"),
]
KMEANS, RQ_VAE = CONFIGS[1], CONFIGS[4]


@pytest.fixture
def saved(tmp_path):
    directory = tmp_path / "codebooks" / "demo"
    save_quantizer(directory, fit_quantizer(KMEANS, VECTORS), {"embeddings": "abc"})
    return directory


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_quantizer_survives_saving_and_loading(config, tmp_path):
    quantizer = fit_quantizer(config, VECTORS)
    save_quantizer(tmp_path / "q", quantizer, {"embeddings": "abc"})
    loaded = load_quantizer(tmp_path / "q")
    assert loaded.config == config
    assert loaded.codebook_sizes == (8, 8)
    assert loaded.dimension == 5
    codes = quantizer.assign(VECTORS)
    np.testing.assert_array_equal(loaded.assign(VECTORS), codes)
    np.testing.assert_array_equal(loaded.reconstruct(codes), quantizer.reconstruct(codes))
    assert read_quantizer_metadata(tmp_path / "q") == {"embeddings": "abc"}
    assert loaded.history == quantizer.history
    assert read_training_history(tmp_path / "q") == quantizer.history
    assert (quantizer.history is not None) is config.kind.endswith("_vae")


def test_the_description_says_all_that_decides_the_result(saved):
    description = json.loads((saved / "config.json").read_text())
    assert description["kind"] == "residual_kmeans"
    assert description["format_version"] == 1
    assert description["configuration"] == KMEANS.model_dump(mode="json")
    assert description["codebook_sizes"] == [8, 8]
    assert description["metadata"] == {"embeddings": "abc"}
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def without(path, key):
    description = json.loads(path.read_text())
    del description[key]
    path.write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "config.json does not exist"),
        (lambda d: (d / "config.json").write_text('{"kind": '), "cannot be read"),
        (lambda d: (d / "config.json").write_text("[]"), "cannot be read"),
        (lambda d: without(d / "config.json", "metadata"), "lacks 'metadata'"),
        (lambda d: change(d / "config.json", format_version=2), "format version 2"),
        (lambda d: change(d / "config.json", kind="oracle"), r"unknown kind 'oracle' \(known: ran"),
        (lambda d: change(d / "config.json", configuration={"kind": "x"}), "cannot be read"),
        (lambda d: (d / "model.safetensors").unlink(), "model.safetensors cannot.*missing"),
        (lambda d: (d / "model.safetensors").write_bytes(b"no"), "cannot be read"),
        (
            lambda d: change(d / "config.json", configuration={**KMEANS.model_dump(), "levels": 3}),
            "codebook of level 2 is missing",
        ),
        (
            lambda d: change(
                d / "config.json", configuration={**KMEANS.model_dump(), "codewords": 9}
            ),
            "codebook of level 0 .* 9 codewords",
        ),
        (
            lambda d: change(
                d / "config.json", kind="random", configuration=CONFIGS[0].model_dump()
            ),
            "hash of the random codes is missing",
        ),
    ],
)
def test_damage_is_named(saved, damage, message):
    damage(saved)
    with pytest.raises(ArtifactError, match=message) as raised:
        load_quantizer(saved)
    assert "aterialize the asset codebooks" in str(raised.value)


def test_a_truncated_tensor_file_is_named(saved):
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[:-10])
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_quantizer(saved)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "history.json cannot be read: it is missing"),
        (lambda path: path.write_text("[]"), "history.json cannot be read"),
        (lambda path: path.write_text('{"rows": []}'), "history.json cannot be read.*best_epoch"),
    ],
)
def test_a_damaged_history_is_named(damage, message, tmp_path):
    save_quantizer(tmp_path / "q", fit_quantizer(RQ_VAE, VECTORS), {})
    damage(tmp_path / "q" / "history.json")
    with pytest.raises(ArtifactError, match=message):
        load_quantizer(tmp_path / "q")


def test_saving_replaces_an_earlier_quantizer_whole(saved):
    save_quantizer(saved, fit_quantizer(CONFIGS[0], VECTORS), {})
    assert load_quantizer(saved).config == CONFIGS[0]
    assert [path.name for path in saved.parent.iterdir()] == ["demo"]
