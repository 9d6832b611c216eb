from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.errors import InputError
from tiger_pipeline.generation.checkpoint import load_generator, save_generator
from tiger_pipeline.generation.config import ItemDecoderConfig, TrainingConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.item_decoder import ItemDecoder
from tiger_pipeline.generation.item_decoder_ensemble import ItemDecoderEnsemble
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.generation.training import TrainingResult
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
    random_text_embeddings,
)
from tiger_pipeline_tests.generation.item_decoders import (
    CONFIG,
    context_after,
    dense_logp,
    ensemble,
    whole_semantic_id,
)

SEMANTIC_IDS = random_semantic_ids(0)
N_ITEMS = len(SEMANTIC_IDS.item_ids)


@pytest.fixture
def model() -> ItemDecoderEnsemble:
    return ensemble(SEMANTIC_IDS)


def members_of(model: ItemDecoderEnsemble) -> list[ItemDecoder]:
    return [member for member in model.members if isinstance(member, ItemDecoder)]


def conditional_logp(member: ItemDecoder, history: np.ndarray, prefix: tuple[int, ...]) -> Tensor:
    """float32[codes], of the codes that may follow a prefix, by one member alone."""
    prefixes = member.encode(
        member.history_examples(histories_of([history.tolist()])).batch(np.array([0]))
    )
    zero = torch.zeros((1, 1), dtype=torch.int64)
    for code in prefix:
        prefixes = prefixes.extend(zero, zero + code)
    return prefixes.logp[0, 0]


def pooled(logp: list[Tensor]) -> Tensor:
    """The normalized geometric mean of the members' probabilities, as its definition reads."""
    product = torch.stack(logp).double().exp().prod(0) ** (1 / len(logp))
    return (product / product.sum()).log()


@torch.no_grad()
def test_a_search_as_wide_as_the_catalog_ranks_it_by_geometric_means(
    model: ItemDecoderEnsemble,
) -> None:
    histories = random_histories(6, n_users=4, n_items=N_ITEMS, longest=8)
    trie = SemanticIdTrie.from_semantic_ids(SEMANTIC_IDS)
    recommender = GeneratorRecommender(model, trie, beams=30, users_per_batch=3, device=cpu())
    found = recommender.recommend(histories, top_k=20, exclude_seen=False)
    for user in range(len(histories)):
        known: dict[tuple[int, ...], Tensor] = {}
        scores = np.zeros(N_ITEMS)
        for item in range(N_ITEMS):
            codes = whole_semantic_id(SEMANTIC_IDS, item)
            for length, code in enumerate(codes):
                prefix = codes[:length]
                if prefix not in known:
                    known[prefix] = pooled(
                        [conditional_logp(m, histories[user], prefix) for m in members_of(model)]
                    )
                scores[item] += known[prefix][code].item()
        order = np.argsort(-scores)[:20]
        assert found.items[user].tolist() == order.tolist()
        np.testing.assert_allclose(found.logp[user], scores[order], rtol=1e-4)


@torch.no_grad()
def test_items_are_scored_by_geometric_means(model: ItemDecoderEnsemble) -> None:
    history = np.array([3, 1, 4])
    batch = model.history_examples(histories_of([history.tolist()])).batch(np.array([0]))
    members = [dense_logp(member, context_after(member, history)) for member in members_of(model)]
    torch.testing.assert_close(
        model.encode(batch).item_logp()[0].double(), pooled(members), rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_a_cold_item_is_measured_by_the_warm_ones(model: ItemDecoderEnsemble) -> None:
    """A cold item with the codes and the text of a warm one is scored as if that were unknown."""
    cold = random_semantic_ids(0)
    grown = SEMANTIC_IDS.grown(type(cold).from_codes(["new"], cold.codes[:1], cold.codebook_sizes))
    histories = histories_of([[3, 1, 4]])
    batch = model.history_examples(histories).batch(np.array([0]))
    before = model.encode(batch).item_logp()
    with pytest.raises(InputError, match="text embedding of every cold-start item"):
        model.on_catalog(grown)
    model.on_catalog(grown, model.text_embeddings[:1])
    after = model.encode(batch).item_logp()
    assert torch.equal(after[:, :N_ITEMS], before)
    for member in members_of(model):
        member.item_embedding.weight[0] = 0
    alike = model.encode(batch).item_logp()
    torch.testing.assert_close(alike[:, N_ITEMS], alike[:, 0])


def test_every_member_learns_as_it_would_alone(model: ItemDecoderEnsemble) -> None:
    histories = random_histories(2, n_users=6, n_items=N_ITEMS, longest=6)
    batch = model.training_examples(histories).batch(np.arange(5))
    alone = [member.loss(batch) for member in members_of(model)]
    assert len({loss.item() for loss in alone}) == len(alone) == 3
    loss = model.loss(batch)
    torch.testing.assert_close(loss, torch.stack(alone).mean())
    loss.backward()
    for member, own in zip(members_of(model), alone, strict=True):
        weights = [p for p in member.parameters() if p.grad is not None]
        expected = torch.autograd.grad(own / 3, weights)
        for weight, gradient in zip(weights, expected, strict=True):
            torch.testing.assert_close(weight.grad, gradient)


def test_the_catalog_is_held_once(model: ItemDecoderEnsemble) -> None:
    assert len({id(member.catalog) for member in members_of(model)}) == 1
    assert not [name for name in model.state_dict() if "catalog" in name]


@torch.no_grad()
def test_a_loaded_ensemble_is_the_saved_one(model: ItemDecoderEnsemble, tmp_path: Path) -> None:
    result = TrainingResult(model, [{"epoch": 1}], 1, 2.5, 99, "all its inputs")
    save_generator(tmp_path / "generator", result, TrainingConfig())
    loaded = load_generator(tmp_path / "generator", SEMANTIC_IDS)
    assert isinstance(loaded, ItemDecoderEnsemble)
    batch = model.history_examples(histories_of([[1, 2, 3]])).batch(np.array([0]))
    one, other = loaded.encode(batch), model.encode(batch)
    assert torch.equal(one.logp, other.logp)
    assert torch.equal(one.item_logp(), other.item_logp())


def test_one_member_is_an_item_decoder_whose_settings_are_those_of_before() -> None:
    text = random_text_embeddings(0, N_ITEMS)
    assert isinstance(build_generator(CONFIG, SEMANTIC_IDS, 1, text), ItemDecoder)
    assert "members" not in CONFIG.model_dump()
    three = ItemDecoderConfig(members=3)
    assert ItemDecoderConfig.model_validate(three.model_dump()) == three
