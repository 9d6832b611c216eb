import numpy as np
import pytest
import torch

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.errors import InputError
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.item_decoder import ItemDecoder
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
    random_text_embeddings,
)
from tiger_pipeline_tests.generation.item_decoders import (
    CONFIG,
    all_scores,
    codes_logp,
    context_after,
    dense_logp,
    item_decoder,
    mean_directions,
)

SEMANTIC_IDS = random_semantic_ids(0)


@pytest.fixture
def model() -> ItemDecoder:
    return item_decoder(SEMANTIC_IDS)


def test_future_items_do_not_change_past_contexts(model: ItemDecoder) -> None:
    items = torch.tensor([[3, 1, 4, 1, 5]])
    changed = torch.tensor([[3, 1, 7, 8, 9]])
    before, after = (model.contexts(i, model.item_vectors()) for i in (items, changed))
    assert torch.equal(before[0, :3], after[0, :3])  # after 0, 1 and 2 items
    assert not torch.allclose(before[0, 3:], after[0, 3:])


def test_padding_changes_nothing(model: ItemDecoder) -> None:
    examples = model.history_examples(histories_of([[3], [3, 1, 4, 1, 5], []]))
    padded = model.encode(examples.batch(np.array([1, 0, 2])))
    code = torch.zeros((1, 1), dtype=torch.int64)
    codes = code.expand(3, 1)
    for place, row in ((1, 0), (2, 2)):
        alone = model.encode(examples.batch(np.array([row])))
        torch.testing.assert_close(padded.logp[place], alone.logp[0])
        torch.testing.assert_close(padded.item_logp()[place], alone.item_logp()[0])
        torch.testing.assert_close(
            padded.extend(codes, codes).logp[place], alone.extend(code, code).logp[0]
        )


@pytest.mark.parametrize("dense_weight", [0.0, 0.7])
def test_loss_is_the_mean_over_every_interaction(dense_weight: float) -> None:
    config = CONFIG.model_copy(update={"dense_loss_weight": dense_weight})
    model = item_decoder(SEMANTIC_IDS, config=config)
    histories = random_histories(2, n_users=6, n_items=30, longest=6)
    examples = model.training_examples(histories)
    batch = examples.batch(np.arange(len(examples.lengths)))
    assert batch.n_targets == len(histories.items)

    means = mean_directions(model, SEMANTIC_IDS)
    total = 0.0
    for user in range(len(histories)):
        for place, item in enumerate(histories[user]):
            context = context_after(model, histories[user][:place])
            total -= codes_logp(model, SEMANTIC_IDS, context, item, means)
            total -= dense_weight * dense_logp(model, context)[item].item()
    assert model.loss(batch).item() == pytest.approx(total / batch.n_targets, rel=1e-4)


def test_each_interaction_of_a_long_history_is_a_target_once(model: ItemDecoder) -> None:
    items = np.random.default_rng(0).integers(30, size=40)
    examples = model.training_examples(histories_of([items.tolist(), [1, 2]]))
    batch = examples.batch(np.arange(len(examples.lengths)))
    assert len(examples.lengths) > 2
    assert sorted(batch.targets.tolist()) == sorted([*items.tolist(), 1, 2])
    assert (examples.lengths <= CONFIG.history_items + 1).all()
    assert batch.items.shape[1] == examples.lengths.max() - 1


@torch.no_grad()
@pytest.mark.parametrize("exclude_seen", [False, True])
def test_a_search_as_wide_as_the_catalog_ranks_it_like_the_definition(exclude_seen: bool) -> None:
    model = item_decoder(SEMANTIC_IDS)
    histories = random_histories(6, n_users=5, n_items=30, longest=8)
    trie = SemanticIdTrie.from_semantic_ids(SEMANTIC_IDS)
    recommender = GeneratorRecommender(model, trie, beams=30, users_per_batch=2, device=cpu())
    found = recommender.recommend(histories, top_k=20, exclude_seen=exclude_seen)
    scores, _ = all_scores(model, SEMANTIC_IDS, histories)
    for user in range(len(histories)):
        if exclude_seen:
            scores[user, histories[user]] = -np.inf
    order = np.argsort(-scores, axis=1)[:, :20]
    assert found.items.tolist() == order.tolist()
    np.testing.assert_allclose(found.logp, np.take_along_axis(scores, order, axis=1), rtol=1e-4)


def test_an_item_without_a_vector_of_its_own_is_known_by_codes_and_text(
    model: ItemDecoder,
) -> None:
    known = torch.ones(30, dtype=torch.bool)
    known[[4, 9]] = False
    vectors = model.item_vectors(known)
    assert torch.isfinite(vectors).all()
    assert torch.equal(vectors[known], model.item_vectors()[known])
    assert not torch.equal(vectors[4], vectors[9])
    with torch.no_grad():
        model.item_embedding.weight[[4, 9]] = torch.nan
        model.item_embedding.weight.nan_to_num_(5.0)
    assert torch.equal(model.item_vectors(known)[[4, 9]], vectors[[4, 9]])

    contexts = model.contexts(torch.tensor([[4, 9, 1]]), vectors)
    assert torch.isfinite(contexts).all()
    assert torch.isfinite(model.dense_queries(contexts[0]) @ vectors.T).all()


def test_a_shift_and_a_scale_of_the_text_change_nothing() -> None:
    text = random_text_embeddings(0)
    one, other = (build_generator(CONFIG, SEMANTIC_IDS, 3, t) for t in (text, 5 * text - 2))
    assert isinstance(one, ItemDecoder)
    assert isinstance(other, ItemDecoder)
    torch.testing.assert_close(one.item_vectors(), other.item_vectors(), rtol=1e-3, atol=1e-5)


def test_items_are_dropped_in_training_only() -> None:
    config = CONFIG.model_copy(update={"item_dropout": 0.5, "dropout": 0.0})
    model = item_decoder(SEMANTIC_IDS, config=config)
    histories = random_histories(2, n_users=6, n_items=30)
    batch = model.training_examples(histories).batch(np.arange(4))
    evaluated = [model.loss(batch).item() for _ in range(2)]
    assert evaluated[0] == evaluated[1]
    model.train()
    torch.manual_seed(0)
    assert len({model.loss(batch).item() for _ in range(3)}) == 3


@pytest.mark.parametrize("text", [None, random_text_embeddings(0, 29)])
def test_text_embeddings_that_do_not_fit_are_named(text: np.ndarray | None) -> None:
    with pytest.raises(InputError, match=r"needs 30 and was given (0|29)"):
        build_generator(CONFIG, SEMANTIC_IDS, 0, text)
