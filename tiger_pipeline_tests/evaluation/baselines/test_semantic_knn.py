import numpy as np
import pytest

from tiger_pipeline.evaluation.baselines.semantic_knn import SemanticKnn
from tiger_pipeline_tests.evaluation.synthetic import histories_of

N_WARM, N_ITEMS = 12, 16
TEXT = np.random.default_rng(0).normal(size=(N_ITEMS, 5)).astype(np.float32)
HISTORIES = histories_of([3, 1, 14], [0], [], [7, 7, 2, 5])


def by_brute_force(history: list[int], recent: int, part: range) -> list[int]:
    directions = TEXT / np.linalg.norm(TEXT, axis=1, keepdims=True)
    wanted = directions[history[-recent:]].sum(axis=0) if history else np.zeros(5)
    unseen = [item for item in part if item not in history]
    return sorted(unseen, key=lambda item: (-float(directions[item] @ wanted), item))


@pytest.mark.parametrize("recent", [1, 2, 50])
@pytest.mark.parametrize("top_k", [3, 16])
def test_both_lists_are_the_nearest_unseen_items(recent: int, top_k: int):
    found = SemanticKnn(TEXT, N_WARM, recent).recommend_apart(HISTORIES, top_k, exclude_seen=True)
    for row in range(len(HISTORIES)):
        history = HISTORIES[row].tolist()
        for lists, part in (
            (found.warm, range(N_WARM)),
            (found.cold, range(N_WARM, N_ITEMS)),
        ):
            expected = by_brute_force(history, recent, part)[:top_k]
            assert lists.items[row].tolist() == expected + [-1] * (top_k - len(expected))


def test_scores_are_cosines():
    found = SemanticKnn(TEXT, N_WARM, 1).recommend(HISTORIES, 1, exclude_seen=False)
    # The nearest item to the last one is that item itself.
    assert found.items[1].tolist() == [0]
    assert found.logp[1, 0] == pytest.approx(1.0)


def test_without_cold_items_their_list_is_empty():
    found = SemanticKnn(TEXT[:N_WARM], N_WARM, 1)
    histories = histories_of([3, 1], [0])
    assert (found.recommend_apart(histories, 4, exclude_seen=True).cold.items == -1).all()
