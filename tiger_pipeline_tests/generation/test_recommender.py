import numpy as np
import pytest
import torch

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.errors import ArtifactMismatchError, ConfigurationError
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
)
from tiger_pipeline_tests.generation.test_beam_search import small_model, teacher_forced_scores

N_ITEMS = 25


@pytest.mark.parametrize("exclude_seen", [False, True])
@torch.no_grad()
def test_recommends_the_most_probable_items_in_the_order_of_the_users(exclude_seen: bool) -> None:
    semantic_ids = random_semantic_ids(1, N_ITEMS)
    model = small_model(semantic_ids, seed=3)
    # Longer than the model's history: what it no longer sees must be excluded all the same.
    histories = random_histories(6, n_users=7, n_items=N_ITEMS, longest=12)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    recommender = GeneratorRecommender(model, trie, beams=N_ITEMS, users_per_batch=3, device=cpu())
    found = recommender.recommend(histories, top_k=5, exclude_seen=exclude_seen)

    scores = teacher_forced_scores(model, semantic_ids, histories)
    for user in range(len(histories)):
        if exclude_seen:
            scores[user, histories[user]] = -np.inf
    order = np.argsort(-scores, axis=1)[:, :5]
    assert found.items.tolist() == order.tolist()
    np.testing.assert_allclose(found.logp, np.take_along_axis(scores, order, axis=1), rtol=1e-5)
    assert found.items.dtype == np.int32
    assert found.logp.dtype == np.float32


def test_fewer_items_than_asked_for_leave_the_end_of_the_row_empty() -> None:
    semantic_ids = random_semantic_ids(1, n_items=4)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    recommender = GeneratorRecommender(small_model(semantic_ids, 0), trie, 6, 8, cpu())
    found = recommender.recommend(histories_of([[0, 2], [0, 1, 2, 3]]), 5, exclude_seen=True)
    assert sorted(found.items[0, :2].tolist()) == [1, 3]
    assert found.items[0, 2:].tolist() == [-1, -1, -1]
    assert found.items[1].tolist() == [-1] * 5
    assert np.isneginf(found.logp[1]).all()


def test_too_little_memory_names_what_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    semantic_ids = random_semantic_ids(1, n_items=4)
    model = small_model(semantic_ids, 0)

    def encode(batch: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(model, "encode", encode)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    recommender = GeneratorRecommender(model, trie, 6, 8, cpu())
    for recommend in (recommender.recommend, recommender.recommend_apart):
        with pytest.raises(ConfigurationError, match=r"Lower evaluation\.users_per_batch"):
            recommend(histories_of([[0, 2]]), 3, exclude_seen=True)


def test_no_users_are_no_recommendations() -> None:
    semantic_ids = random_semantic_ids(1, n_items=4)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    recommender = GeneratorRecommender(small_model(semantic_ids, 0), trie, 6, 8, cpu())
    assert recommender.recommend(histories_of([]), 5, exclude_seen=True).items.shape == (0, 5)


def test_more_recommendations_than_beams_are_refused() -> None:
    semantic_ids = random_semantic_ids(1, n_items=4)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    recommender = GeneratorRecommender(small_model(semantic_ids, 0), trie, 2, 8, cpu())
    with pytest.raises(ConfigurationError, match=r"3 recommendations .* 2 beams"):
        recommender.recommend(histories_of([[0]]), 3, exclude_seen=False)


def test_widths_by_depth_are_searched_by_and_told() -> None:
    semantic_ids = random_semantic_ids(1, N_ITEMS)
    model = small_model(semantic_ids, seed=3)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    histories = random_histories(6, n_users=7, n_items=N_ITEMS)
    widths = [1, 9, 5]
    recommender = GeneratorRecommender(model, trie, widths, 3, cpu())
    found = recommender.recommend(histories, 5, exclude_seen=False)
    # One beam after the first code: all items share it.
    for row in found.items:
        assert len({semantic_ids.codes[item, 0] for item in row if item >= 0}) == 1
    assert recommender.search == "beams 1, 9, 5"
    assert GeneratorRecommender(model, trie, 7, 3, cpu()).search == "beams 7"
    with pytest.raises(ConfigurationError, match=r"6 recommendations .* 5 beams"):
        recommender.recommend(histories, 6, exclude_seen=False)


def test_more_widths_than_codes_are_refused() -> None:
    semantic_ids = random_semantic_ids(1, n_items=4)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    with pytest.raises(ConfigurationError, match=r"beams lists 5 widths.*at most \d codes"):
        GeneratorRecommender(small_model(semantic_ids, 0), trie, [9] * 5, 8, cpu())


def test_a_trie_of_other_codebooks_is_refused() -> None:
    model = small_model(random_semantic_ids(1, n_items=4), 0)
    trie = SemanticIdTrie.from_semantic_ids(random_semantic_ids(1, 9, (2, 2)))
    with pytest.raises(ArtifactMismatchError, match="codebooks"):
        GeneratorRecommender(model, trie, 2, 8, cpu())
