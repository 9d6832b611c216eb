import numpy as np
import pytest
import torch

from tiger_pipeline.generation.config import DecoderConfig
from tiger_pipeline.generation.decoder import Decoder
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
)

CONFIG = DecoderConfig(blocks=2, width=16, heads=2, dropout=0.3, history_items=5)


@pytest.fixture
def model() -> Decoder:
    generator = build_generator(CONFIG, random_semantic_ids(0), seed=1)
    assert isinstance(generator, Decoder)
    return generator.eval()


def test_future_tokens_do_not_change_past_logits(model: Decoder) -> None:
    batch = model.training_examples(histories_of([[3, 1, 4, 1, 5]])).batch(np.array([0]))
    before = model.hidden(batch.tokens, batch.item_positions)
    changed = batch.tokens.clone()
    changed[0, 7:] = torch.roll(changed[0, 7:], 1)
    after = model.hidden(changed, batch.item_positions)
    assert torch.equal(before[0, :7], after[0, :7])
    assert not torch.allclose(before[0, 7:], after[0, 7:])


def test_padding_changes_nothing(model: Decoder) -> None:
    examples = model.history_examples(histories_of([[3], [3, 1, 4, 1, 5]]))
    alone = model.encode(examples.batch(np.array([0])))
    padded = model.encode(examples.batch(np.array([1, 0])))
    torch.testing.assert_close(padded.logp[1], alone.logp[0])
    code = torch.zeros((1, 1), dtype=torch.int64)
    codes = code.expand(2, 1)
    torch.testing.assert_close(
        padded.extend(codes, codes).logp[1], alone.extend(code, code).logp[0]
    )


def test_loss_is_the_mean_over_every_code_of_every_item(model: Decoder) -> None:
    histories = random_histories(2, n_users=6, n_items=30, longest=6)
    examples = model.training_examples(histories)
    batch = examples.batch(np.arange(len(examples.lengths)))
    assert batch.n_targets == model.tokenizer.item_lengths[histories.items].sum()

    total = 0.0
    for user in range(len(histories)):
        sequence = model.tokenizer.tokenize(histories[user], np.array([0, len(histories[user])]))
        hidden = model.hidden(
            torch.from_numpy(sequence.tokens.astype(np.int64))[None],
            torch.from_numpy(sequence.item_positions.astype(np.int64))[None],
        )[0]
        for place in range(1, len(sequence.tokens)):
            level = int(sequence.levels[place])
            code = int(sequence.tokens[place]) - model.level_offsets[level]
            total -= model.code_logp(hidden[place - 1], level)[code].item()
    assert model.loss(batch).item() == pytest.approx(total / batch.n_targets, rel=1e-5)


def test_each_target_of_a_long_history_is_counted_once(model: Decoder) -> None:
    items = np.random.default_rng(0).integers(30, size=40)
    examples = model.training_examples(histories_of([items.tolist()]))
    assert len(examples.lengths) > 1
    batch = examples.batch(np.arange(len(examples.lengths)))
    semantic_ids = random_semantic_ids(0)
    for level in range(3):
        counted = np.bincount(batch.target_codes[level], minlength=4)
        assert (
            counted.tolist() == np.bincount(semantic_ids.codes[items, level], minlength=4).tolist()
        )
    with_suffix = semantic_ids.needs_suffix[items]
    assert sorted(batch.target_codes[3].tolist()) == sorted(
        semantic_ids.suffixes[items][with_suffix].tolist()
    )


def test_cached_steps_equal_the_whole_sequence(model: Decoder) -> None:
    histories = histories_of([[7, 8, 9, 10, 11, 12], [], [2, 3]])
    prefixes = model.encode(model.history_examples(histories).batch(np.arange(3)))
    rng = np.random.default_rng(5)
    chosen = np.zeros((3, 1, 0), dtype=np.int64)
    for level in range(4):
        for user in range(3):
            recent = histories[user][-CONFIG.history_items :]
            for beam in range(chosen.shape[1]):
                expected = _logp_of_next_code(model, recent, chosen[user, beam], level)
                torch.testing.assert_close(prefixes.logp[user, beam], expected)
        if level < 3:
            parents = rng.integers(chosen.shape[1], size=(3, 4))
            codes = rng.integers(model.codebook_sizes[level], size=(3, 4))
            before = np.take_along_axis(chosen, parents[:, :, None], axis=1)
            chosen = np.concatenate([before, codes[:, :, None]], axis=2)
            prefixes = prefixes.extend(torch.from_numpy(parents), torch.from_numpy(codes))


def _logp_of_next_code(
    model: Decoder, items: np.ndarray, codes: np.ndarray, level: int
) -> torch.Tensor:
    """By one pass over history and codes, without a cache."""
    sequence = model.tokenizer.tokenize(items, np.array([0, len(items)]))
    own = codes + np.array(model.level_offsets[: len(codes)], dtype=np.int64)
    tokens = np.concatenate([sequence.tokens, own]).astype(np.int64)
    positions = np.concatenate([sequence.item_positions, np.full(len(codes), len(items))])
    hidden = model.hidden(
        torch.from_numpy(tokens)[None], torch.from_numpy(positions.astype(np.int64))[None]
    )
    return model.code_logp(hidden[0, -1], level)


def test_the_same_seed_builds_the_same_weights_and_leaves_torch_alone() -> None:
    semantic_ids = random_semantic_ids(0)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    one, two, other = (build_generator(CONFIG, semantic_ids, seed) for seed in (4, 4, 5))
    assert torch.equal(torch.rand(3), expected)
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(one.token_embedding.weight, other.token_embedding.weight)
