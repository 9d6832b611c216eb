from pathlib import Path

import numpy as np
import pytest

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.collaborative_kmeans import CollaborativeKMeans
from tiger_pipeline.quantization.collaborative_vectors import (
    cooccurrence_vectors,
    predicted_by_text,
)
from tiger_pipeline.quantization.config import CollaborativeKMeansConfig
from tiger_pipeline.quantization.quantizer import fit_quantizer, load_quantizer, save_quantizer

N_ITEMS = 60
TEXT = np.random.default_rng(0).normal(size=(N_ITEMS, 8)).astype(np.float32)
CONFIG = CollaborativeKMeansConfig(levels=2, codewords=6, dimension=5)


def histories_in_groups(n_users: int, groups: int, seed: int = 1) -> Histories:
    """Each user takes items of one group alone: those whose index leaves the same remainder."""
    random = np.random.default_rng(seed)
    members = [np.arange(N_ITEMS)[np.arange(N_ITEMS) % groups == g] for g in range(groups)]
    items = [random.permutation(members[user % groups])[:6] for user in range(n_users)]
    offsets = np.arange(n_users + 1, dtype=np.int64) * 6
    return Histories(np.arange(n_users), offsets, np.concatenate(items).astype(np.int32))


TRAINING = histories_in_groups(90, groups=3)


@pytest.fixture(scope="module")
def fitted() -> CollaborativeKMeans:
    return CollaborativeKMeans.fit(CONFIG, TEXT, NoProgress(), TRAINING)


def test_vectors_factorize_the_positive_mutual_information() -> None:
    """Against counts by hand and a dense decomposition."""
    together = np.zeros((N_ITEMS, N_ITEMS))
    for user in range(len(TRAINING)):
        history = TRAINING[user]
        for place, item in enumerate(history):
            for distance, later in enumerate(history[place + 1 : place + 4]):
                together[item, later] += 0.8**distance
                together[later, item] += 0.8**distance
    contexts = together.sum(axis=1) ** 0.75
    expected = together.sum(axis=1, keepdims=True) * contexts / contexts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.maximum(np.nan_to_num(np.log(together / expected), neginf=0), 0)
    left, singular, _ = np.linalg.svd(information)
    best = left[:, :5] * np.sqrt(singular[:5])
    found = cooccurrence_vectors(TRAINING, N_ITEMS, dimension=5, window=3, distance_decay=0.8)
    np.testing.assert_allclose(found @ found.T, best @ best.T, atol=1e-4)


def test_items_that_stand_alone_have_zeros_and_small_catalogs_few_dimensions() -> None:
    alone = Histories(np.arange(2), np.array([0, 2, 3]), np.array([0, 1, 2], dtype=np.int32))
    vectors = cooccurrence_vectors(alone, 8, dimension=9, window=6, distance_decay=0.8)
    assert vectors.shape == (8, 4)
    assert np.abs(vectors[:2]).max() > 0
    assert np.abs(vectors[2:]).max() < 1e-6
    nothing = Histories(np.arange(0), np.zeros(1, np.int64), np.zeros(0, np.int32))
    assert not cooccurrence_vectors(nothing, 8, 3, 6, 0.8).any()


def test_the_prediction_is_a_weighted_ridge_regression() -> None:
    random = np.random.default_rng(3)
    vectors, interactions = random.normal(size=(N_ITEMS, 3)), random.integers(9, size=N_ITEMS)
    root = np.sqrt(np.sqrt(interactions))[:, None]
    stacked = np.concatenate([root * TEXT, np.sqrt(2.0) * np.eye(8)])
    wanted = np.concatenate([root * vectors, np.zeros((8, 3))])
    expected = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    found = predicted_by_text(TEXT, vectors, interactions, ridge=2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_items_of_the_same_histories_share_their_first_code() -> None:
    """Their texts are random: only the interactions can tell the groups."""
    config = CONFIG.model_copy(
        update={"levels": 1, "codewords": 3, "interactions_share": 0.95, "shrinkage": 0.1}
    )
    codes = CollaborativeKMeans.fit(config, TEXT, NoProgress(), TRAINING).fitted_codes[:, 0]
    groups = [set(codes[np.arange(N_ITEMS) % 3 == group].tolist()) for group in range(3)]
    assert all(len(group) == 1 for group in groups)
    assert len(set.union(*groups)) == 3


def test_a_new_item_gets_the_codes_of_its_text_and_of_what_that_predicts(
    fitted: CollaborativeKMeans,
) -> None:
    new = np.random.default_rng(7).normal(size=(20, 8)).astype(np.float32)
    codes = fitted.assign(new)
    warm = TEXT / np.linalg.norm(TEXT, axis=1, keepdims=True)
    for row in range(20):
        text = new[row] / np.linalg.norm(new[row]) - warm.mean(axis=0)
        text /= np.linalg.norm(text)
        predicted = text @ fitted.projection
        blend = np.concatenate([text, predicted / np.linalg.norm(predicted)]) * np.sqrt(0.5)
        left = blend
        for level, codebook in enumerate(fitted.kmeans.codebooks):
            distances = ((left - codebook) ** 2).sum(axis=1)
            assert distances[codes[row, level]] == pytest.approx(distances.min(), rel=1e-4)
            left = left - codebook[codes[row, level]]
    assert fitted.prepare(new).shape == (20, 13)
    assert fitted.dimension == 8


def test_much_seen_items_go_by_interactions_and_rare_ones_by_their_text() -> None:
    """Without shrinkage two items differ by their histories; with much, by their texts alone."""
    same_text = TEXT.copy()
    same_text[1] = same_text[0]
    apart = CONFIG.model_copy(update={"shrinkage": 1e-3})
    alike = CONFIG.model_copy(update={"shrinkage": 1e9})
    for config, expected in ((apart, False), (alike, True)):
        blends = CollaborativeKMeans.fit(config, same_text, NoProgress(), TRAINING).fitted
        assert blends is not None
        assert np.allclose(blends[0], blends[1], atol=1e-4) == expected


def test_a_loaded_quantizer_is_the_saved_one(fitted: CollaborativeKMeans, tmp_path: Path) -> None:
    save_quantizer(tmp_path / "codebooks", fitted, {"made": "here"})
    loaded = load_quantizer(tmp_path / "codebooks")
    assert isinstance(loaded, CollaborativeKMeans)
    assert loaded.config == CONFIG
    assert np.array_equal(loaded.fitted_codes, fitted.fitted_codes)
    assert np.array_equal(loaded.assign(TEXT), fitted.assign(TEXT))


def test_the_same_inputs_give_the_same_codes(fitted: CollaborativeKMeans) -> None:
    again = fit_quantizer(CONFIG, TEXT, training=TRAINING)
    assert isinstance(again, CollaborativeKMeans)
    for name, tensor in fitted.tensors().items():
        assert np.array_equal(again.tensors()[name], tensor)


def test_missing_or_foreign_interactions_are_named() -> None:
    with pytest.raises(ConfigurationError, match="was given none"):
        fit_quantizer(CONFIG, TEXT)
    with pytest.raises(InputError, match="names item 59, but there are 40 text embeddings"):
        fit_quantizer(CONFIG, TEXT[:40], training=TRAINING)
