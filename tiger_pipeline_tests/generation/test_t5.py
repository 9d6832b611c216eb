"""The network against `transformers`' T5 with the same weights, its search against brute force."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import cpu
from tiger_pipeline.generation.beam_search import beam_search
from tiger_pipeline.generation.checkpoint import load_generator, save_generator
from tiger_pipeline.generation.config import T5Config, TrainingConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.pair_batches import PairBatch
from tiger_pipeline.generation.t5 import T5
from tiger_pipeline.generation.t5_layers import position_buckets
from tiger_pipeline.generation.tokens import BEGIN
from tiger_pipeline.generation.training import TrainingResult, train_generator
from tiger_pipeline.generation.trie_tensors import SparseTrie
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
)
from tiger_pipeline_tests.generation.test_beam_search import item_codes

CONFIG = T5Config(
    layers=2,
    width=16,
    heads=3,
    head_width=4,
    mlp_width=32,
    dropout=0.1,
    history_items=5,
    user_tokens=7,
)
SEMANTIC_IDS = random_semantic_ids(0)


def small_t5(semantic_ids: SemanticIds = SEMANTIC_IDS, config: T5Config = CONFIG) -> T5:
    model = build_generator(config, semantic_ids, seed=1).eval()
    assert isinstance(model, T5)
    return model


@pytest.fixture
def model() -> T5:
    return small_t5()


def reference_of(model: T5) -> torch.nn.Module:
    """`transformers`' T5 of the same size, with the same weights."""
    from transformers import T5Config as TheirConfig
    from transformers import T5ForConditionalGeneration

    config = model.config
    theirs = T5ForConditionalGeneration(
        TheirConfig(
            vocab_size=model.token_embedding.num_embeddings,
            d_model=config.width,
            d_kv=config.head_width,
            d_ff=config.mlp_width,
            num_layers=config.layers,
            num_heads=config.heads,
            dropout_rate=config.dropout,
        )
    ).eval()
    ours = model.state_dict()
    weights = {"shared.weight": ours["token_embedding.weight"]}
    for stack, parts in (
        ("encoder", ("SelfAttention", "DenseReluDense")),
        ("decoder", ("SelfAttention", "EncDecAttention", "DenseReluDense")),
    ):
        weights[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = ours[
            f"{stack}_positions.weight.weight"
        ]
        weights[f"{stack}.final_layer_norm.weight"] = ours[f"{stack}_norm.weight"]
        for layer in range(config.layers):
            for place, part in enumerate(parts):
                their = f"{stack}.block.{layer}.layer.{place}"
                our, norm, names = {
                    "SelfAttention": ("attention", "attention", {"out": "o"}),
                    "EncDecAttention": ("history_attention", "history", {"out": "o"}),
                    "DenseReluDense": ("mlp", "mlp", {"0": "wi", "3": "wo"}),
                }[part]
                our = f"{stack}.{layer}.{our}."
                weights[f"{their}.layer_norm.weight"] = ours[f"{stack}.{layer}.norm_{norm}.weight"]
                for name in (key for key in ours if key.startswith(our)):
                    short = name.removeprefix(our).removesuffix(".weight")
                    weights[f"{their}.{part}.{names.get(short, short)}.weight"] = ours[name]
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected
    tied = {"lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    assert set(missing) <= tied
    theirs.tie_weights()
    return theirs


def encoder_tokens(model: T5, user: int, items: np.ndarray) -> list[int]:
    """By hand: the user's token, then the codes of each of the last items."""
    tokens = [model.first_user_token + user % model.config.user_tokens]
    for item in items[-model.config.history_items :]:
        tokens += code_tokens(model, item)
    return tokens


def code_tokens(model: T5, item: int) -> list[int]:
    n = model.tokenizer.item_lengths[item]
    return [int(token) for token in model.tokenizer.tokens_of_item[item, :n]]


@torch.no_grad()
def reference_logp(
    model: T5, theirs: torch.nn.Module, history: list[int], codes: list[int]
) -> list[torch.Tensor]:
    """Log-probabilities at every level, by one teacher-forced pass of `transformers`."""
    logits = theirs(
        input_ids=torch.tensor([history]), decoder_input_ids=torch.tensor([[BEGIN, *codes]])
    ).logits[0]
    return [
        logits[level, start : start + size].log_softmax(-1)
        for level, (start, size) in enumerate(
            zip(model.level_offsets, model.codebook_sizes, strict=True)
        )
        if level <= len(codes)
    ]


@torch.no_grad()
def reference_scores(model: T5, semantic_ids: SemanticIds, histories: Histories) -> np.ndarray:
    """float64[users, n_items], one pass of `transformers` a user and item."""
    theirs = reference_of(model)
    scores = np.zeros((len(histories), len(semantic_ids.item_ids)))
    for row, user in enumerate(histories.users):
        history = encoder_tokens(model, int(user), histories[row])
        for item in range(scores.shape[1]):
            logp = reference_logp(model, theirs, history, code_tokens(model, item)[:-1])
            codes = item_codes(semantic_ids, item)
            scores[row, item] = sum(logp[j][code].item() for j, code in enumerate(codes))
    return scores


@pytest.mark.parametrize("bidirectional", [True, False])
def test_position_buckets_are_those_of_transformers(bidirectional: bool) -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    relative = torch.arange(-300, 301)
    expected = T5Attention._relative_position_bucket(relative, bidirectional, 32, 128)
    assert torch.equal(position_buckets(relative, bidirectional), expected)


@torch.no_grad()
def test_the_loss_is_that_of_transformers(model: T5) -> None:
    histories = histories_of([[3, 1, 4, 1, 5, 9, 2, 6], [7], [2, 7, 1]])
    examples = model.training_examples(histories)
    batch = examples.batch(np.arange(len(examples.lengths)))
    theirs = reference_of(model)
    total, n = 0.0, 0
    for user in range(3):
        for place, item in enumerate(histories[user]):
            history = encoder_tokens(model, user, histories[user][:place])
            logp = reference_logp(model, theirs, history, code_tokens(model, item)[:-1])
            codes = item_codes(SEMANTIC_IDS, item)
            total -= sum(logp[level][code].item() for level, code in enumerate(codes))
            n += len(codes)
    assert batch.n_targets == n
    assert model.loss(batch).item() == pytest.approx(total / n, rel=1e-5)


@torch.no_grad()
def test_steps_of_beams_equal_whole_passes_of_transformers(model: T5) -> None:
    histories = histories_of([[7, 8, 9, 10, 11, 12], [], [2, 3]])
    theirs = reference_of(model)
    prefixes = model.encode(model.history_examples(histories).batch(np.arange(3)))
    rng = np.random.default_rng(5)
    chosen = np.zeros((3, 1, 0), dtype=np.int64)
    for level in range(4):
        for user in range(3):
            history = encoder_tokens(model, user, histories[user])
            for beam in range(chosen.shape[1]):
                tokens = chosen[user, beam] + np.array(model.level_offsets[:level], dtype=np.int64)
                expected = reference_logp(model, theirs, history, tokens.tolist())[level]
                torch.testing.assert_close(
                    prefixes.logp[user, beam], expected, atol=1e-5, rtol=1e-5
                )
        if level < 3:
            parents = rng.integers(chosen.shape[1], size=(3, 4))
            codes = rng.integers(model.codebook_sizes[level], size=(3, 4))
            before = np.take_along_axis(chosen, parents[:, :, None], axis=1)
            chosen = np.concatenate([before, codes[:, :, None]], axis=2)
            prefixes = prefixes.extend(torch.from_numpy(parents), torch.from_numpy(codes))


@torch.no_grad()
def test_a_search_as_wide_as_the_catalog_ranks_it_like_transformers() -> None:
    semantic_ids = random_semantic_ids(1, n_items=20)
    model = small_t5(semantic_ids)
    histories = random_histories(3, n_users=3, n_items=20)
    expected = reference_scores(model, semantic_ids, histories)
    trie = SparseTrie(SemanticIdTrie.from_semantic_ids(semantic_ids), torch.device("cpu"))
    prefixes = model.encode(model.history_examples(histories).batch(np.arange(3)))
    found = beam_search(prefixes, trie, beams=20)
    order = np.argsort(-expected, axis=1)
    assert found.items.tolist() == order.tolist()
    np.testing.assert_allclose(
        found.logp, np.take_along_axis(expected, order, axis=1), rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_padding_changes_nothing(model: T5) -> None:
    examples = model.history_examples(histories_of([[3], [3, 1, 4, 1, 5]]))
    alone = model.encode(examples.batch(np.array([0])))
    padded = model.encode(examples.batch(np.array([1, 0])))
    torch.testing.assert_close(padded.logp[1], alone.logp[0])
    code = torch.zeros((1, 1), dtype=torch.int64)
    codes = code.expand(2, 1)
    torch.testing.assert_close(
        padded.extend(codes, codes).logp[1], alone.extend(code, code).logp[0]
    )


def test_beams_share_the_encoded_history(model: T5) -> None:
    prefixes = model.encode(model.history_examples(histories_of([[1, 2]])).batch(np.array([0])))
    codes = torch.zeros((1, 6), dtype=torch.int64)
    longer = prefixes.extend(codes, codes)
    assert longer.logp.shape[1] == 6
    for (before, _), (after, _) in zip(prefixes.history, longer.history, strict=True):
        assert after.data_ptr() == before.data_ptr()
        assert after.shape[0] == 1


def test_every_interaction_is_the_target_of_one_pair(model: T5) -> None:
    histories = random_histories(4, n_users=8, n_items=30, longest=12)
    examples = model.training_examples(histories)
    assert len(examples.lengths) == len(histories.items)
    batch = examples.batch(np.arange(len(examples.lengths)))
    lengths = model.tokenizer.item_lengths[histories.items]
    assert batch.n_targets == lengths.sum()
    assert (batch.lengths.numpy() + lengths == examples.lengths).all()
    row = 0
    for user in range(len(histories)):
        for place, item in enumerate(histories[user]):
            history = encoder_tokens(model, user, histories[user][:place])
            assert batch.tokens[row, : len(history)].tolist() == history
            assert (batch.tokens[row, len(history) :] == 0).all()
            assert batch.target_tokens[row, : lengths[row]].tolist() == code_tokens(model, item)
            row += 1


def test_without_user_tokens_all_histories_open_alike() -> None:
    model = small_t5(config=CONFIG.model_copy(update={"user_tokens": 0}))
    batch = model.history_examples(histories_of([[1], [], [2]])).batch(np.arange(3))
    assert isinstance(batch, PairBatch)
    assert batch.tokens[:, 0].tolist() == [BEGIN] * 3
    assert batch.lengths[1] == 1


def test_users_are_told_apart_by_their_token(model: T5) -> None:
    same = np.array([1, 2, 1, 2], dtype=np.int32)
    histories = Histories(np.array([3, 10], dtype=np.int32), np.array([0, 2, 4]), same)
    other = Histories(np.array([3, 4], dtype=np.int32), np.array([0, 2, 4]), same)
    one, two = (
        model.encode(model.history_examples(h).batch(np.arange(2))).logp.detach()
        for h in (histories, other)
    )
    torch.testing.assert_close(one[0], one[1])  # 10 mod 7 = 3
    assert not torch.allclose(two[0], two[1])


def train(folder: Path, stop_after: int | None = None) -> TrainingResult:
    calls = 0

    def validate(model: Generator) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if stop_after is not None and calls > stop_after:
            raise KeyboardInterrupt
        return {"ndcg@10": 0.5}

    cycles = histories_of([[(start + step) % 30 for step in range(6)] for start in range(12)])
    training = TrainingConfig(max_epochs=4, tokens_per_batch=256, validate_every=1, patience=9)
    return train_generator(CONFIG, training, SEMANTIC_IDS, cycles, validate, folder, cpu())


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop_after=2)
    resumed = train(tmp_path / "killed")
    losses = [row["train_loss"] for row in whole.history]
    assert [row["train_loss"] for row in resumed.history] == losses
    assert losses[-1] < losses[0]


def test_a_loaded_generator_is_the_saved_one(tmp_path: Path, model: T5) -> None:
    result = TrainingResult(model, [], 1, 2.5, 99, fingerprint="f")
    save_generator(tmp_path / "generator", result, TrainingConfig())
    loaded = load_generator(tmp_path / "generator", SEMANTIC_IDS)
    assert isinstance(loaded, T5)
    assert loaded.config == model.config
    for (name, saved), read in zip(
        model.state_dict().items(), loaded.state_dict().values(), strict=True
    ):
        assert torch.equal(saved, read), name
