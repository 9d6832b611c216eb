import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tiger_pipeline.catalog.sequences import SPLITS, UserSequences
from tiger_pipeline.configuration.settings import Settings, parse_settings
from tiger_pipeline.encoding.embedding_table import list_array_of
from tiger_pipeline.errors import ArtifactMismatchError, ConfigurationError
from tiger_pipeline.evaluation.fusion_fitting import FittedFusion, fit_fusion
from tiger_pipeline.generation.checkpoint import (
    load_training_history,
    read_description,
    read_fusion,
)
from tiger_pipeline.generation.decoder import Decoder
from tiger_pipeline.generation.exact_ranking import (
    ExactCodesRecommender,
    ExactFusedRecommender,
)
from tiger_pipeline.generation.fusion import FusedRecommender
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.workflows.recommender import load_recommenders
from tiger_pipeline.workflows.training import text_of, train_or_reuse
from tiger_pipeline_tests.evaluation.synthetic import random_sequences
from tiger_pipeline_tests.generation.catalogs import random_text_embeddings

N_ITEMS = 30
SEQUENCES = random_sequences(n_users=50, n_items=N_ITEMS, seed=3)
CODES = np.random.default_rng(0).integers(4, size=(N_ITEMS, 3))
SEMANTIC_IDS = SemanticIds.from_codes(SEQUENCES.item_ids.tolist(), CODES, (4, 4, 4))
TEXT = random_text_embeddings(1)


def settings(kind: str, item_core: int = 0) -> Settings:
    generator = {"kind": kind, "blocks": 1, "width": 16, "heads": 2}
    training = {"max_epochs": 2, "validate_every": 1, "learning_rate": 0.02}
    values = {
        "data": {"source": {"path": "."}, "filter": {"item_core": item_core}},
        "model": {"generator": generator},
        "training": training,
        "evaluation": {"cutoffs": [5, 10], "recommended_items": 10, "beams": 12},
    }
    return parse_settings(values, "a test")


def embeddings_of(vectors: np.ndarray, item_ids: list[str]) -> pa.Table:
    return pa.table({"item_id": item_ids, "embedding": list_array_of(vectors)})


def train(
    folder: Path,
    kind: str,
    sequences: UserSequences = SEQUENCES,
    text: np.ndarray = TEXT,
    item_core: int = 0,
) -> bool:
    return train_or_reuse(
        settings(kind, item_core),
        SEMANTIC_IDS,
        embeddings_of(text, sequences.item_ids.tolist()),
        sequences,
        folder / "generator",
        folder / "work",
        retrain=False,
        progress=NoProgress(),
    )


def test_text_is_put_into_the_order_of_the_semantic_ids() -> None:
    backwards = embeddings_of(TEXT[::-1], SEQUENCES.item_ids.tolist()[::-1])
    assert text_of(SEMANTIC_IDS, backwards).tolist() == TEXT.tolist()
    with pytest.raises(ArtifactMismatchError, match="items have no embedding"):
        text_of(SEMANTIC_IDS, backwards.slice(3))


def test_too_little_memory_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(model: Decoder, batch: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Decoder, "loss", loss)
    with pytest.raises(
        ConfigurationError, match=r"Lower training\.tokens_per_micro_batch \(now 4,096"
    ):
        train(tmp_path, "decoder")


@pytest.mark.parametrize(
    ("kind", "recommender"), [("decoder", GeneratorRecommender), ("item_decoder", FusedRecommender)]
)
def test_a_trained_generator_recommends_and_is_kept(
    tmp_path: Path, kind: str, recommender: type
) -> None:
    assert not train(tmp_path, kind)
    assert train(tmp_path, kind)
    whole, codes_alone = load_recommenders(
        tmp_path / "generator", SEMANTIC_IDS, SEQUENCES.training, settings(kind).evaluation
    )
    assert type(whole) is recommender
    assert (codes_alone is None) == (kind == "decoder")
    found = whole.recommend(SEQUENCES.complete(), 5, exclude_seen=True)
    assert np.isfinite(found.logp).all()


@pytest.mark.parametrize("rank_pools", [False, True])
def test_an_exhaustive_ranking_is_what_beams_approach(tmp_path: Path, rank_pools: bool) -> None:
    train(tmp_path, "item_decoder")
    config = settings("item_decoder").evaluation
    changes = {"beams": N_ITEMS} if rank_pools else {"search": "exhaustive"}
    inputs = (tmp_path / "generator", SEMANTIC_IDS, SEQUENCES.training)
    exact = load_recommenders(*inputs, config.model_copy(update=changes), rank_pools)
    wide = load_recommenders(*inputs, config.model_copy(update={"beams": N_ITEMS}))
    assert isinstance(exact[0], ExactFusedRecommender)
    assert isinstance(exact[1], ExactCodesRecommender)
    for recommender, beams in zip(exact, wide, strict=True):
        found, expected = (
            r.recommend(SEQUENCES.complete(), 8, exclude_seen=True) for r in (recommender, beams)
        )
        assert np.array_equal(found.items, expected.items)


def test_an_older_fusion_is_fitted_anew_without_training(tmp_path: Path) -> None:
    train(tmp_path, "item_decoder")
    fitted = read_fusion(tmp_path / "generator").tensors()
    path = tmp_path / "generator" / "config.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps({**description, "fusion": {"codes": 1.0, "transitions": 0.5}}))
    (tmp_path / "generator" / "fusion.safetensors").unlink()
    assert train(tmp_path, "item_decoder")
    again = read_fusion(tmp_path / "generator").tensors()
    assert all(np.array_equal(again[name], fitted[name]) for name in fitted)
    assert json.loads(path.read_text()) == description


def test_a_fusion_learns_from_items_that_the_filter_keeps_by_their_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []

    def fit(*arguments: Any) -> FittedFusion:
        learned.append(arguments[4])
        return fit_fusion(*arguments)

    monkeypatch.setattr("tiger_pipeline.workflows.training.fit_fusion", fit)
    occurrences = SEQUENCES.training().items.tolist()
    counts = [occurrences.count(item) for item in range(N_ITEMS)]
    core = sorted(counts)[N_ITEMS // 2]
    for item_core in (0, core):
        train(tmp_path / str(item_core), "item_decoder", item_core=item_core)
    expected = [[count >= item_core for count in counts] for item_core in (0, core)]
    assert [array.tolist() for array in learned] == expected
    assert not all(expected[1])


def test_other_text_trains_again(tmp_path: Path) -> None:
    train(tmp_path, "item_decoder")
    assert not train(tmp_path, "item_decoder", text=TEXT + 1)


def test_test_targets_decide_nothing(tmp_path: Path) -> None:
    is_test = SEQUENCES.splits == SPLITS.index("test")
    items = SEQUENCES.items.copy()
    items[is_test] = (items[is_test] + 7) % N_ITEMS
    described = []
    for name, sequences in (("one", SEQUENCES), ("other", replace(SEQUENCES, items=items))):
        train(tmp_path / name, "item_decoder", sequences)
        description = read_description(tmp_path / name / "generator")
        history = load_training_history(tmp_path / name / "generator")
        values = [row["valid_ndcg@10"] for row in history]
        described.append((description["weights_fingerprint"], description["fusion"], values))
    assert described[0] == described[1]
    assert described[0][1] is not None
