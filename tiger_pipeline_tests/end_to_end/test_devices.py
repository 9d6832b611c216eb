"""The demo's stages on a GPU, each on the processor's inputs, against the processor.

Without a GPU the same runs with the processor handled as a GPU, where a stage can tell them apart.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.catalog.item_text import build_item_texts
from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.compute_device import ComputeDevice, cpu
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.encoding.batching import encode_texts
from tiger_pipeline.encoding.encoder import load_encoder
from tiger_pipeline.evaluation.baselines.sasrec import SasrecRecommender, build_sasrec
from tiger_pipeline.evaluation.config import SasrecConfig
from tiger_pipeline.generation.config import (
    DecoderConfig,
    GeneratorConfig,
    ItemDecoderConfig,
    T5Config,
)
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.fusion import FusedRecommender
from tiger_pipeline.generation.fusion_network import FusionNetwork
from tiger_pipeline.generation.generator import DenseGenerator
from tiger_pipeline.generation.recommendations import Recommendations
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.generation.training import train_generator
from tiger_pipeline.quantization.config import ResidualKMeansConfig, ResidualVaeConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline.workflows.recommender import item_priors
from tiger_pipeline_tests.devices import like_gpu, needs_gpu

pytestmark = pytest.mark.slow
on_gpus = pytest.mark.parametrize("gpu", ["like a GPU", pytest.param("GPU", marks=needs_gpu)])

TOP_K = 10
GENERATORS = [
    DecoderConfig(blocks=1, width=32, heads=2),
    ItemDecoderConfig(blocks=1, width=32, heads=2),
    T5Config(layers=1, width=32, heads=2, head_width=16, mlp_width=64),
]


def device_of(gpu: str) -> ComputeDevice:
    if gpu == "like a GPU":
        return like_gpu()
    return ComputeDevice(torch.device("cuda"), torch.bfloat16)


@dataclass
class Demo:
    """The demo on the processor.

    Attributes:
        settings: of the dataset.
        sequences: of all users.
        texts: of the items.
        embeddings: float32[n_items, d], of the texts.
        semantic_ids: of residual k-means.
    """

    settings: Settings
    sequences: UserSequences
    texts: list[str]
    embeddings: np.ndarray
    semantic_ids: SemanticIds


@cache
def demo() -> Demo:
    settings = Presets().dataset_settings("demo")
    catalog = build_catalog(settings.data, base=Path.cwd())
    texts = build_item_texts(catalog.items, settings.data.text)
    item_ids = texts["item_id"].to_pylist()
    encoder = load_encoder(settings.model.encoder, cpu())
    embeddings = encode_texts(encoder, texts["text"].to_pylist(), 2048)
    codes = fit_quantizer(KMEANS, embeddings).assign(embeddings)
    return Demo(
        settings,
        UserSequences.from_table(catalog.interactions, item_ids),
        texts["text"].to_pylist(),
        embeddings,
        SemanticIds.from_codes(item_ids, codes, (KMEANS.codewords,) * KMEANS.levels),
    )


KMEANS = ResidualKMeansConfig(levels=3, codewords=16)


@on_gpus
def test_embeddings(gpu: str) -> None:
    encoder = load_encoder(demo().settings.model.encoder, device_of(gpu))
    found = encode_texts(encoder, demo().texts[:64], 2048)
    assert found.dtype == np.float32
    assert not np.array_equal(found, demo().embeddings[:64])
    assert (found * demo().embeddings[:64]).sum(axis=1).min() > 0.999


@needs_gpu
def test_semantic_ids_of_k_means(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("TIGER_DEVICE", device)
        codes[device] = fit_quantizer(KMEANS, demo().embeddings).assign(demo().embeddings)
    assert (codes["cuda"] == codes["cpu"]).all(axis=1).mean() > 0.95


@needs_gpu
def test_semantic_ids_of_an_autoencoder(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ResidualVaeConfig(levels=3, codewords=16, epochs=10, evaluate_every=10)
    errors = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("TIGER_DEVICE", device)
        quantizer = fit_quantizer(config, demo().embeddings)
        errors[device] = quantizer.history.rows[-1]["reconstruction_mse"]
    assert errors["cuda"] == pytest.approx(errors["cpu"], rel=0.2)
    on_gpu = quantizer.assign(demo().embeddings)
    monkeypatch.setenv("TIGER_DEVICE", "cpu")
    assert (quantizer.assign(demo().embeddings) == on_gpu).all(axis=1).mean() > 0.999


@on_gpus
@pytest.mark.parametrize("config", GENERATORS, ids=lambda config: config.kind)
def test_recommendations(config: GeneratorConfig, gpu: str, tmp_path: Path) -> None:
    training = demo().settings.training.model_copy(update={"max_epochs": 1})
    trained = train_generator(
        config,
        training,
        demo().semantic_ids,
        demo().sequences.training().select(np.arange(300)),
        lambda model: {"ndcg@10": 0.0},
        tmp_path,
        cpu(),
        text_embeddings=demo().embeddings,
    ).model
    lists = []
    for device in (cpu(), device_of(gpu)):
        model = build_generator(config, demo().semantic_ids, 0, demo().embeddings)
        model.load_state_dict(trained.state_dict())
        lists.append(recommend(model, device))
    assert_about_equal(*lists)


def recommend(model: torch.nn.Module, device: ComputeDevice) -> Recommendations:
    trie = SemanticIdTrie.from_semantic_ids(demo().semantic_ids)
    if isinstance(model, DenseGenerator):
        priors = item_priors(demo().sequences.training(), demo().embeddings)
        network = FusionNetwork.weighted_sum(transitions=0.1, text=0.1)
        recommender = FusedRecommender(model, trie, priors, network, 30, 64, device)
    else:
        recommender = GeneratorRecommender(model, trie, 30, 64, device)
    histories = demo().sequences.evaluation("test")[0].select(np.arange(100))
    return recommender.recommend(histories, TOP_K, exclude_seen=True)


@on_gpus
def test_sasrec(gpu: str) -> None:
    histories = demo().sequences.evaluation("test")[0].select(np.arange(100))
    lists = []
    for device in (cpu(), device_of(gpu)):
        model = build_sasrec(SasrecConfig(width=32, heads=2), demo().sequences.n_items)
        with torch.no_grad():
            model.item_embedding.weight.mul_(20)  # fresh weights find all items alike
        lists.append(SasrecRecommender(model, 64, device).recommend(histories, TOP_K, True))
    assert_about_equal(*lists)


def assert_about_equal(expected: Recommendations, found: Recommendations) -> None:
    common = [len(np.intersect1d(*pair)) for pair in zip(expected.items, found.items, strict=True)]
    assert np.mean(common) > 0.9 * TOP_K
    assert np.abs(expected.logp - found.logp).mean() < 0.05
