"""Trained generators on a table that grew: what was known stays, what came is found."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tiger_pipeline.errors import ArtifactMismatchError, InputError
from tiger_pipeline.generation.catalog_tries import catalog_tries
from tiger_pipeline.generation.checkpoint import load_generator, save_generator
from tiger_pipeline.generation.cold_prior import nearest_warm_items
from tiger_pipeline.generation.cold_share import WarmAndCold
from tiger_pipeline.generation.config import DecoderConfig, T5Config, TrainingConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.fusion import FusedRecommender
from tiger_pipeline.generation.fusion_network import fusion_features
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.generation.text_similarity import TextSimilarity
from tiger_pipeline.generation.training import TrainingResult
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.workflows.recommender import item_priors
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
    random_text_embeddings,
)
from tiger_pipeline_tests.generation.fusion_networks import random_network
from tiger_pipeline_tests.generation.item_decoders import (
    context_after,
    ensemble,
    item_decoder,
)

WARM = random_semantic_ids(0)
N_WARM, N_COLD = 30, 8
COLD_TEXT = random_text_embeddings(5, N_COLD)
CONFIGS = {
    "decoder": DecoderConfig(blocks=1, width=16, heads=2, history_items=5),
    "t5": T5Config(layers=1, width=16, heads=2, head_width=8, mlp_width=16, history_items=5),
}
READ_TEXT = {"item_decoder": item_decoder, "item_decoder_ensemble": ensemble}
KINDS = [*CONFIGS, *READ_TEXT]
NETWORK = random_network(seed=3)


def grown() -> SemanticIds:
    """Eight cold items: two on the codes of warm ones, two on the same ones, one on new codes."""
    codes = np.random.default_rng(9).integers((4, 3, 3), size=(N_COLD, 3))
    codes[0], codes[1] = WARM.codes[0], WARM.codes[np.argmax(~WARM.needs_suffix)]
    codes[3] = codes[2]
    known = {tuple(row) for row in WARM.codes.tolist()}
    new = [row for row in product(range(4), range(3), range(3)) if row not in known]
    codes[4] = new[0]
    cold = SemanticIds.from_codes([f"c{k}" for k in range(N_COLD)], codes, WARM.codebook_sizes)
    suffixes = np.array([(WARM.codes == row).all(axis=1).sum() for row in codes])
    return WARM.grown(replace(cold, suffixes=cold.suffixes + suffixes.astype(np.int32)))


GROWN = grown()


def model_of(kind: str) -> Generator:
    if kind in READ_TEXT:
        return READ_TEXT[kind](WARM)
    return build_generator(CONFIGS[kind], WARM, seed=3).eval()


def on_catalog(kind: str) -> Generator:
    model = model_of(kind)
    model.on_catalog(GROWN, COLD_TEXT if kind in READ_TEXT else None)
    return model


def apart(model: Generator, histories, top_k: int = 40, allowed=None) -> WarmAndCold:
    trie, cold = catalog_tries(GROWN, allowed)
    recommender = GeneratorRecommender(model, trie, 40, 3, cold=cold)
    return recommender.recommend_apart(histories, top_k, exclude_seen=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_warm_ranking_stays_bit_for_bit(kind: str):
    histories = random_histories(2, 7, N_WARM)
    before = GeneratorRecommender(model_of(kind), catalog_tries(WARM)[0], 40, 3)
    alone = before.recommend(histories, 30, exclude_seen=True)
    warm = apart(on_catalog(kind), histories).warm
    assert warm.items[:, :30].tolist() == alone.items.tolist()
    assert warm.logp[:, :30].tolist() == alone.logp.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_cold_item_is_found_once_and_none_that_was_seen(kind: str):
    histories = random_histories(3, 7, N_WARM + N_COLD)
    cold = apart(on_catalog(kind), histories).cold
    for row in range(len(histories)):
        unseen = set(range(N_WARM, N_WARM + N_COLD)) - set(histories[row].tolist())
        found = cold.items[row][cold.items[row] >= 0].tolist()
        assert sorted(found) == sorted(unseen)


def cold_logp(model: Generator, histories, row: int, item: int) -> float:
    """By the rule: the longest prefix that warm items have, shared out among these."""
    codes = GROWN.codes[item]
    with torch.inference_mode():
        prefixes = model.encode(model.history_examples(histories).batch(np.array([row])))
        total, sharing = 0.0, np.ones(N_WARM, dtype=bool)
        for level, code in enumerate(codes):
            narrower = sharing & (WARM.codes[:, level] == code)
            if not narrower.any():
                break
            sharing = narrower
            total += prefixes.logp[0, 0, code].item()
            if level + 1 < len(codes):
                zero = torch.zeros((1, 1), dtype=torch.int64)
                prefixes = prefixes.extend(zero, zero + int(code))
    return total - np.log(sharing.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_a_cold_item_is_as_probable_as_the_mean_item_with_its_longest_known_prefix(kind: str):
    histories = random_histories(4, 5, N_WARM)
    model = on_catalog(kind)
    cold = apart(model, histories).cold
    for row in range(len(histories)):
        scores = {
            item: cold_logp(model, histories, row, item) for item in range(N_WARM, N_WARM + N_COLD)
        }
        for item, logp in zip(cold.items[row, :N_COLD], cold.logp[row, :N_COLD], strict=True):
            assert logp == pytest.approx(scores[int(item)], abs=1e-4)
        assert cold.logp[row, :N_COLD].tolist() == sorted(cold.logp[row, :N_COLD], reverse=True)


def test_items_that_are_not_allowed_are_found_by_nobody():
    allowed = np.ones(N_WARM + N_COLD, dtype=bool)
    allowed[[0, 5, N_WARM + 2]] = False
    found = apart(on_catalog("decoder"), random_histories(5, 6, N_WARM), allowed=allowed)
    both = np.concatenate([found.warm.items, found.cold.items], axis=1)
    assert not np.isin(both, np.flatnonzero(~allowed)).any()
    assert np.isin(both, N_WARM + 1).any(axis=1).all()


def test_without_an_allowed_warm_item_there_is_a_clear_error():
    with pytest.raises(InputError, match="Widen the filter"):
        catalog_tries(GROWN, GROWN.is_cold)


def test_the_decoder_reads_a_cold_item_as_its_codes():
    """A cold item on the codes of a warm one without suffix is the same tokens."""
    twin = int(np.argmax(~WARM.needs_suffix))
    model = on_catalog("decoder")
    both = histories_of([[4, twin, 7], [4, N_WARM + 1, 7]])
    with torch.inference_mode():
        logp = model.encode(model.history_examples(both).batch(np.arange(2))).logp
    assert torch.equal(logp[0], logp[1])


def test_the_item_decoder_reads_a_cold_item_as_codes_and_text():
    model = on_catalog("item_decoder")
    warm_text = random_text_embeddings(0)
    scale = np.sqrt(((warm_text - warm_text.mean(0)) ** 2).mean())
    with torch.inference_mode():
        vectors = model.item_vectors()
        for item in range(N_COLD):
            tokens = GROWN.codes[N_WARM + item] + np.array(model.level_offsets[:3])
            expected = model.token_embedding.weight[torch.from_numpy(tokens)].sum(0)
            text = torch.from_numpy((COLD_TEXT[item] - warm_text.mean(0)) / scale)
            expected = expected + model.text_projection.weight @ text
            torch.testing.assert_close(vectors[N_WARM + item], expected)


def test_the_dense_head_scores_cold_items_beside_the_warm_ones():
    model = on_catalog("item_decoder")
    histories = random_histories(6, 4, N_WARM + N_COLD)
    with torch.inference_mode():
        vectors = model.item_vectors()
        batch = model.history_examples(histories).batch(np.arange(4))
        found = model.encode(batch).item_logp()
        for row in range(4):
            query = model.dense_query(context_after(model, histories[row]))
            cosines = F.cosine_similarity(vectors, query.unsqueeze(0), dim=1)
            logits = cosines / model.log_temperature.exp()
            torch.testing.assert_close(
                found[row], logits - logits[:N_WARM].logsumexp(0), atol=1e-4, rtol=1e-4
            )


def fused(model, ids: SemanticIds, allowed=None, training=None) -> FusedRecommender:
    trie, cold = catalog_tries(ids, allowed)
    counted = training or random_histories(8, 40, N_WARM)
    priors = item_priors(counted, model.text_embeddings, COLD_TEXT if ids.n_cold else None)
    return FusedRecommender(model, trie, priors, NETWORK, 40, 3, cold=cold)


def test_the_fused_warm_ranking_stays_bit_for_bit():
    histories = random_histories(2, 7, N_WARM)
    alone = fused(model_of("item_decoder"), WARM).recommend(histories, 20, exclude_seen=True)
    found = fused(on_catalog("item_decoder"), GROWN).recommend_apart(histories, 20, True)
    assert found.warm.items.tolist() == alone.items.tolist()
    assert found.warm.logp.tolist() == alone.logp.tolist()


def test_fused_scores_of_cold_items_are_measured_by_the_best_warm_ones():
    histories = random_histories(2, 5, N_WARM + N_COLD)
    model = on_catalog("item_decoder")
    recommender = fused(model, GROWN)
    found = recommender.recommend_apart(histories, 20, exclude_seen=True).cold
    training = random_histories(8, 40, N_WARM)
    prior = item_priors(training, model.text_embeddings).transitions
    neighbors = nearest_warm_items(COLD_TEXT, model.text_embeddings)
    by_text = TextSimilarity(model.text_embeddings, COLD_TEXT)
    best = np.empty((5, 4), dtype=np.float32)
    for rows, warm in recommender.candidates(histories):
        unseen = warm.allowed(exclude_seen=True)[:, :, None]
        best[rows] = np.where(unseen, warm.logp, -np.inf).max(axis=1)
    with torch.inference_mode():
        batch = model.history_examples(histories).batch(np.arange(5))
        dense = model.encode(batch).item_logp().numpy()
        for row in range(5):
            warm_part = [item for item in histories[row].tolist() if item < N_WARM]
            unseen = sorted(set(range(N_COLD)) - {i - N_WARM for i in histories[row].tolist()})
            assert (found.items[row] >= 0).sum() == len(unseen)
            for item, score in zip(found.items[row], found.logp[row], strict=True):
                if item < 0:
                    continue
                similar = prior.logp(histories_of([warm_part]), neighbors[[item - N_WARM]])
                logp = [
                    cold_logp(model, histories, row, int(item)),
                    dense[row, item],
                    np.log(np.exp(similar).mean()),
                    by_text.logp(histories.select(np.array([row])), np.array([[item]])).item(),
                ]
                features = fusion_features(
                    np.array(logp, dtype=np.float32).reshape(1, 1, 4), best[[row]]
                )
                assert score == pytest.approx(NETWORK.score(features).item(), abs=1e-3)


def test_fused_lists_hold_only_what_is_allowed():
    allowed = np.random.default_rng(1).random(N_WARM + N_COLD) < 0.5
    recommender = fused(on_catalog("item_decoder"), GROWN, allowed)
    found = recommender.recommend_apart(random_histories(5, 6, N_WARM + N_COLD), 30, True)
    both = np.concatenate([found.warm.items, found.cold.items], axis=1)
    assert not np.isin(both, np.flatnonzero(~allowed)).any()
    assert (both >= 0).any()


def test_the_nearest_warm_items_are_those_of_the_highest_cosine():
    warm, cold = random_text_embeddings(0), random_text_embeddings(1, 4)
    found = nearest_warm_items(cold, warm, neighbors=3)
    for row in range(4):
        cosines = [
            cold[row] @ other / np.linalg.norm(cold[row]) / np.linalg.norm(other) for other in warm
        ]
        assert set(found[row].tolist()) == set(np.argsort(cosines)[-3:].tolist())


def test_a_table_of_another_base_is_refused():
    other = random_semantic_ids(1)
    cold = replace(
        GROWN,
        item_ids=GROWN.item_ids[N_WARM:],
        codes=GROWN.codes[N_WARM:],
        suffixes=GROWN.suffixes[N_WARM:] + 5,
        n_cold=0,
    )
    with pytest.raises(ArtifactMismatchError, match="other warm items"):
        model_of("decoder").on_catalog(other.grown(cold))


@pytest.mark.parametrize("text", [None, COLD_TEXT[1:]])
def test_an_item_decoder_needs_the_text_of_every_cold_item(text):
    with pytest.raises(InputError, match="text embedding of every cold-start item"):
        model_of("item_decoder").on_catalog(GROWN, text)


def save(model: Generator, directory: Path) -> None:
    result = TrainingResult(model, [], 1, 0.0, 1, "fingerprint")
    save_generator(directory, result, TrainingConfig())


@pytest.mark.parametrize("kind", ["decoder", "item_decoder"])
def test_a_checkpoint_takes_a_grown_table_and_no_other(tmp_path: Path, kind: str):
    save(model_of(kind), tmp_path / "generator")
    loaded = load_generator(tmp_path / "generator", GROWN, COLD_TEXT)
    histories = random_histories(2, 5, N_WARM + N_COLD)
    one, two = apart(loaded, histories), apart(on_catalog(kind), histories)
    assert one.cold.logp.tolist() == two.cold.logp.tolist()
    other = replace(GROWN, codes=GROWN.codes[:, [0, 2, 1]])
    with pytest.raises(ArtifactMismatchError, match="another catalog"):
        load_generator(tmp_path / "generator", other, COLD_TEXT)
