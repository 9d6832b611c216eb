import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tiger_pipeline.encoding.batching import encode_texts
from tiger_pipeline.encoding.config import CausalLanguageModelConfig
from tiger_pipeline.encoding.encoder import load_encoder
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline_tests.encoding.conftest import some_texts


@pytest.fixture(scope="module")
def encoder(causal_config):
    return load_encoder(causal_config)


def encode_alone(folder: Path, text: str, max_length: int = 128) -> np.ndarray:
    """A text's vector by definition: by itself, without padding, from the model's own class."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text)["input_ids"][:max_length]
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        outputs = model(input_ids=torch.tensor([tokens]), output_hidden_states=True)
    return outputs.hidden_states[-1][0, -1].numpy()


@pytest.mark.parametrize("folder_of", ["causal_lm_folder", "gpt2_folder"])
def test_a_batch_gives_the_vectors_of_each_text_alone(folder_of, request):
    folder = request.getfixturevalue(folder_of)
    encoder = load_encoder(CausalLanguageModelConfig(name=str(folder)))
    texts = ["red", *some_texts(12), ""]
    expected = np.stack([encode_alone(folder, text) for text in texts])
    np.testing.assert_allclose(encoder.encode_batch(texts), expected, atol=1e-5)
    np.testing.assert_allclose(encode_texts(encoder, texts, 64), expected, atol=1e-5)
    assert encoder.dimension == 16


def test_order_of_words_matters(encoder):
    """The last token's state has seen all words, not only the last one."""
    first, second = encoder.encode_batch(["red lip balm set", "balm lip red set"])
    assert not np.allclose(first, second, atol=1e-3)


def test_long_texts_are_cut_at_max_length(causal_config, causal_lm_folder):
    encoder = load_encoder(causal_config.model_copy(update={"max_length": 8}))
    texts = ["red " * 5, "blue matte lip " * 10]
    assert list(encoder.token_lengths(texts)) == [6, 8]
    expected = np.stack([encode_alone(causal_lm_folder, text, max_length=8) for text in texts])
    np.testing.assert_allclose(encoder.encode_batch(texts), expected, atol=1e-5)


def test_normalized_vectors_have_length_one(causal_config, causal_lm_folder):
    encoder = load_encoder(causal_config.model_copy(update={"normalize": True}))
    (vector,) = encoder.encode_batch(["red nail polish"])
    expected = encode_alone(causal_lm_folder, "red nail polish")
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_a_text_without_tokens_is_encoded_as_the_end_token(causal_lm_folder, tmp_path):
    import torch
    from transformers import LlamaModel

    copy = tmp_path / "no-bos"
    shutil.copytree(causal_lm_folder, copy)
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))

    encoder = load_encoder(CausalLanguageModelConfig(name=str(copy)))
    assert list(encoder.token_lengths(["", "red lip"])) == [1, 2]
    with torch.no_grad():
        end_token = LlamaModel.from_pretrained(copy)(torch.tensor([[2]])).last_hidden_state[0, 0]
    np.testing.assert_allclose(
        encoder.encode_batch(["", "red lip"])[0], end_token.numpy(), atol=1e-5
    )


def test_an_encoder_decoder_is_refused(causal_lm_folder, tmp_path):
    from transformers import T5Config, T5Model

    for file in causal_lm_folder.glob("tokenizer*"):
        shutil.copy(file, tmp_path)
    T5Model(
        T5Config(vocab_size=8, d_model=4, d_kv=2, d_ff=4, num_layers=1, num_heads=1)
    ).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="kind to sentence_transformer"):
        load_encoder(CausalLanguageModelConfig(name=str(tmp_path)))
