import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.generation.text_similarity import TextSimilarity, TextSimilaritySettings
from tiger_pipeline_tests.generation.catalogs import histories_of, random_text_embeddings

N_WARM, N_COLD = 12, 4
WARM = random_text_embeddings(1, N_WARM)
COLD = random_text_embeddings(2, N_COLD)
SETTINGS = TextSimilaritySettings(temperature=0.3, history_items=3)
SCORES = TextSimilarity(WARM, COLD, cpu(), SETTINGS)
ALL_ITEMS = np.arange(N_WARM + N_COLD)


def probabilities(history: list[int]) -> np.ndarray:
    """float64[n_warm + n_cold], from the definition, one history item after another."""
    text = np.concatenate([WARM, COLD]).astype(np.float64)
    unit = text / np.linalg.norm(text, axis=1, keepdims=True)
    centered = unit - unit[:N_WARM].mean(0)
    directions = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    recent = history[::-1][: SETTINGS.history_items]
    if not recent:
        return np.full(len(text), 1 / N_WARM)
    total, weights = np.zeros(len(text)), 0.0
    for age, source in enumerate(recent):
        kernel = np.exp(directions @ directions[source] / SETTINGS.temperature)
        kernel[source] = 0
        total += SETTINGS.history_decay**age * kernel / kernel[:N_WARM].sum()
        weights += SETTINGS.history_decay**age
    share = SETTINGS.uniform_share
    return (1 - share) * total / weights + share / N_WARM


histories_strategy = st.lists(
    st.lists(st.integers(0, N_WARM + N_COLD - 1), max_size=6), min_size=1, max_size=5
)


@settings(max_examples=30, deadline=None)
@given(histories_strategy)
def test_probabilities_are_those_of_the_definition(histories: list[list[int]]) -> None:
    expected = np.array([probabilities(history) for history in histories])
    for scores in (SCORES, TextSimilarity(WARM, COLD, cpu(), SETTINGS)):
        found = np.exp(scores.logp(histories_of(histories), np.tile(ALL_ITEMS, (len(expected), 1))))
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        np.testing.assert_allclose(found[:, :N_WARM].sum(1), 1, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(histories_strategy, st.integers(1, N_WARM))
def test_proposals_are_the_best_unseen_items_of_either_kind(
    histories: list[list[int]], width: int
) -> None:
    found = SCORES.proposals(histories_of(histories), width)
    for history, proposed in zip(histories, found, strict=True):
        probability = probabilities(history)
        assert not set(history) & set(proposed.tolist())
        for pool in (range(N_WARM), range(N_WARM, N_WARM + N_COLD)):
            unseen = [item for item in pool if item not in history] if history else []
            mine = [item for item in proposed.tolist() if item in pool]
            assert len(set(mine)) == len(mine) == min(width, len(unseen))
            best = sorted(probability[unseen], reverse=True)[: len(mine)]
            np.testing.assert_allclose(sorted(probability[mine], reverse=True), best, rtol=1e-4)


def test_only_the_nearest_items_of_a_history_item_are_proposed() -> None:
    few = TextSimilarity(WARM, None, cpu(), TextSimilaritySettings(neighbors=2))
    by_text = SCORES.logp(histories_of([[3]]), np.arange(N_WARM)[None])[0]
    by_text[3] = -np.inf
    assert set(few.proposals(histories_of([[3]]), 9)[0]) == set(np.argsort(-by_text)[:2])


def test_cold_items_change_nothing_for_warm_ones() -> None:
    histories = histories_of([[1, 2], [5], []])
    items = np.tile(np.arange(N_WARM), (3, 1))
    alone = TextSimilarity(WARM, None, cpu(), SETTINGS)
    found = alone.logp(histories, items)
    np.testing.assert_allclose(found, SCORES.logp(histories, items), rtol=1e-5)
    assert not (alone.proposals(histories, N_WARM + 5) >= N_WARM).any()


def test_many_users_are_scored_in_parts_of_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = histories_of([[user % N_WARM, user % 3] for user in range(20)])
    items = np.tile(ALL_ITEMS, (20, 1))
    whole = SCORES.logp(histories, items), SCORES.proposals(histories, 4)
    monkeypatch.setattr("tiger_pipeline.generation.text_similarity._SIMILARITIES_AT_ONCE", 100)
    parts = TextSimilarity(WARM, COLD, cpu(), SETTINGS)
    np.testing.assert_allclose(parts.logp(histories, items), whole[0], rtol=1e-5)
    assert parts.proposals(histories, 4).tolist() == whole[1].tolist()
