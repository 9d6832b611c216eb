"""The search against the ranking of every item by brute force, and the two forms of the trie."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.beam_search import beam_search, largest
from tiger_pipeline.generation.config import DecoderConfig
from tiger_pipeline.generation.decoder import Decoder
from tiger_pipeline.generation.exclusion import closed_states
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.trie_tensors import DenseTrie, SparseTrie
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import (
    histories_of,
    random_histories,
    random_semantic_ids,
)

CPU = torch.device("cpu")
FORMS = [DenseTrie, SparseTrie]


@dataclass
class RandomPrefixes:
    """A generator whose log-probabilities are a random function of user and prefix.

    Rounded, so that many candidates tie.
    """

    sizes: tuple[int, ...]
    chosen: np.ndarray
    seed: int
    decimals: int

    @property
    def logp(self) -> torch.Tensor:
        users, beams, level = self.chosen.shape
        return torch.tensor(
            [
                [self.of(user, self.chosen[user, beam]) for beam in range(beams)]
                for user in range(users)
            ],
            dtype=torch.float32,
        ).view(users, beams, self.sizes[level])

    def of(self, user: int, codes: np.ndarray) -> list[float]:
        rng = np.random.default_rng([self.seed, user, *codes.tolist()])
        logits = rng.normal(size=self.sizes[len(codes)])
        return np.round(logits - np.logaddexp.reduce(logits), self.decimals).tolist()

    def extend(self, parents: torch.Tensor, codes: torch.Tensor) -> "RandomPrefixes":
        before = np.take_along_axis(self.chosen, parents.numpy()[:, :, None], axis=1)
        chosen = np.concatenate([before, codes.numpy()[:, :, None]], axis=2)
        return RandomPrefixes(self.sizes, chosen, self.seed, self.decimals)


def random_prefixes(trie: SemanticIdTrie, users: int, seed: int, decimals: int) -> RandomPrefixes:
    empty = np.zeros((users, 1, 0), dtype=np.int64)
    return RandomPrefixes(trie.codebook_sizes, empty, seed, decimals)


def item_codes(semantic_ids: SemanticIds, item: int) -> list[int]:
    suffix = [semantic_ids.suffixes[item]] if semantic_ids.needs_suffix[item] else []
    return [*semantic_ids.codes[item], *suffix]


def brute_force(
    semantic_ids: SemanticIds, users: int, of: Callable[[int, np.ndarray], list[float]]
) -> np.ndarray:
    """float64[users, n_items]: each item's sum over its codes, one after another."""
    scores = np.zeros((users, len(semantic_ids.item_ids)))
    for user in range(users):
        for item in range(scores.shape[1]):
            codes = np.array(item_codes(semantic_ids, item), dtype=np.int64)
            scores[user, item] = sum(of(user, codes[:j])[codes[j]] for j in range(len(codes)))
    return scores


def small_model(semantic_ids: SemanticIds, seed: int) -> Decoder:
    config = DecoderConfig(blocks=2, width=16, heads=2, history_items=4)
    model = build_generator(config, semantic_ids, seed).eval()
    assert isinstance(model, Decoder)
    with torch.no_grad():
        # Fresh weights give nearly uniform codes: sharpen them.
        model.token_embedding.weight.mul_(20)
    return model


def teacher_forced_scores(
    model: Decoder, semantic_ids: SemanticIds, histories: Histories
) -> np.ndarray:
    """float64[users, n_items]: one whole pass for each history with each item appended."""
    n_items = len(semantic_ids.item_ids)
    scores = np.zeros((len(histories), n_items))
    for user in range(len(histories)):
        recent = histories[user][-model.config.history_items :]
        for item in range(n_items):
            items = np.append(recent, item)
            sequence = model.tokenizer.tokenize(items, np.array([0, len(items)]))
            tokens = torch.from_numpy(sequence.tokens.astype(np.int64))[None]
            positions = torch.from_numpy(sequence.item_positions.astype(np.int64))[None]
            hidden = model.hidden(tokens, positions)[0]
            for level, code in enumerate(item_codes(semantic_ids, item)):
                place = len(sequence.tokens) - len(item_codes(semantic_ids, item)) + level
                scores[user, item] += model.code_logp(hidden[place - 1], level)[code].item()
    return scores


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_a_search_as_wide_as_the_catalog_ranks_it_like_teacher_forcing(form: type) -> None:
    semantic_ids = random_semantic_ids(1, n_items=25)
    model = small_model(semantic_ids, seed=2)
    histories = random_histories(3, n_users=4, n_items=25)
    expected = teacher_forced_scores(model, semantic_ids, histories)

    trie = form(SemanticIdTrie.from_semantic_ids(semantic_ids), CPU)
    prefixes = model.encode(model.history_examples(histories).batch(np.arange(4)))
    found = beam_search(prefixes, trie, beams=30)

    order = np.argsort(-expected, axis=1)
    assert found.items[:, :25].tolist() == order.tolist()
    assert (found.items[:, 25:] == -1).all()
    np.testing.assert_allclose(
        found.logp[:, :25], np.take_along_axis(expected, order, axis=1), rtol=1e-5
    )
    assert (found.logp[:, 25:] == -torch.inf).all()
    assert found.invalid_share == 0


@given(
    st.integers(0, 10_000),
    st.integers(1, 40),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(1, 45),
)
@settings(max_examples=40, deadline=None)
def test_both_forms_agree_and_a_wide_search_is_exact(
    seed: int, n_items: int, sizes: list[int], beams: int
) -> None:
    semantic_ids = random_semantic_ids(seed, n_items, tuple(sizes))
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    prefixes = random_prefixes(trie, users=3, seed=seed, decimals=1)
    seen = random_histories(seed, n_users=3, n_items=n_items, longest=12)

    results = []
    for form in FORMS:
        tensors = form(trie, CPU)
        results.append(beam_search(prefixes, tensors, beams, closed_states(seen, tensors)))
    dense, sparse = results
    assert torch.equal(dense.items, sparse.items)
    assert torch.equal(dense.logp, sparse.logp)

    scores = brute_force(semantic_ids, 3, prefixes.of)
    for user in range(3):
        items = dense.items[user][dense.items[user] >= 0].numpy()
        allowed = np.setdiff1d(np.arange(n_items), seen[user])
        assert np.isin(items, allowed).all()
        assert len(np.unique(items)) == len(items)
        np.testing.assert_allclose(dense.logp[user, : len(items)], scores[user, items], atol=1e-4)
        assert (np.diff(dense.logp[user, : len(items)]) <= 0).all()
        if beams >= n_items:
            assert sorted(items.tolist()) == allowed.tolist()


def test_no_beam_is_spent_on_a_prefix_whose_items_were_all_seen() -> None:
    # The best prefix, code 0, holds only items that were seen: with one beam it must be left.
    codes = np.array([[0, 0], [0, 1], [1, 0]])
    semantic_ids = SemanticIds.from_codes(["a", "b", "c"], codes, (2, 2))
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)

    class PrefersCodeZero(RandomPrefixes):
        def of(self, user: int, codes: np.ndarray) -> list[float]:
            return [-0.1, -3.0]

        def extend(self, parents: torch.Tensor, codes: torch.Tensor) -> "PrefersCodeZero":
            return PrefersCodeZero(self.sizes, super().extend(parents, codes).chosen, 0, 0)

    prefixes = PrefersCodeZero(trie.codebook_sizes, np.zeros((2, 1, 0), dtype=np.int64), 0, 0)
    for form in FORMS:
        tensors = form(trie, CPU)
        closed = closed_states(histories_of([[0, 1, 0], [0]]), tensors)
        assert beam_search(prefixes, tensors, 1, closed).items.tolist() == [[2], [1]]


@given(st.integers(0, 10_000), st.lists(st.integers(1, 9), min_size=1, max_size=4))
@settings(max_examples=12, deadline=None)
def test_a_narrow_search_follows_its_definition(seed: int, widths: list[int]) -> None:
    """Against a beam search written with lists, one user and one prefix at a time."""
    semantic_ids = random_semantic_ids(seed, n_items=40)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    widths = widths[: trie.depth]
    prefixes = random_prefixes(trie, users=2, seed=seed, decimals=6)
    found, sparse = (beam_search(prefixes, form(trie, CPU), widths) for form in FORMS)
    assert torch.equal(found.items, sparse.items)
    assert torch.equal(found.logp, sparse.logp)
    if len(set(widths)) == 1:
        assert torch.equal(
            found.items, beam_search(prefixes, SparseTrie(trie, CPU), widths[0]).items
        )
    items_by_codes = {tuple(item_codes(semantic_ids, i)): i for i in range(40)}
    for user in range(2):
        beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for level in range(len(trie.codebook_sizes)):
            longer = [beam for beam in beams if beam[1] in items_by_codes]
            for score, codes in beams:
                if codes in items_by_codes:
                    continue
                logp = prefixes.of(user, np.array(codes, dtype=np.int64))
                for code in range(trie.codebook_sizes[level]):
                    prefix = (*codes, code)
                    if any(whole[: len(prefix)] == prefix for whole in items_by_codes):
                        longer.append((score + logp[code], prefix))
            beams = sorted(longer, reverse=True)[: widths[min(level, len(widths) - 1)]]
        expected = [items_by_codes[codes] for _, codes in beams]
        assert found.items[user].tolist() == expected + [-1] * (widths[-1] - len(expected))


@pytest.mark.parametrize("form", FORMS)
def test_without_constraints_the_share_of_invalid_beams_is_reported(form: type) -> None:
    semantic_ids = random_semantic_ids(4, n_items=12)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    prefixes = random_prefixes(trie, users=2, seed=4, decimals=6)
    found = beam_search(prefixes, form(trie, CPU), beams=200, constrained=False)
    # As wide as all tuples, the search finds each item, and all tuples that are no item's.
    tuples = 4 * 3 * 3
    alone = int((~semantic_ids.needs_suffix).sum())
    shared = len(np.unique(semantic_ids.codes[semantic_ids.needs_suffix], axis=0))
    with_suffix = shared * semantic_ids.suffix_size
    total = tuples - shared + with_suffix
    assert alone + with_suffix >= 12
    for user in range(2):
        assert sorted(i for i in found.items[user].tolist() if i >= 0) == list(range(12))
        assert int((found.logp[user] > -torch.inf).sum()) == total
    assert found.invalid_share == pytest.approx((total - 12) / total)


def test_excluding_without_constraints_is_refused() -> None:
    semantic_ids = random_semantic_ids(4, n_items=12)
    trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
    tensors = DenseTrie(trie, CPU)
    closed = closed_states(histories_of([[1]]), tensors)
    with pytest.raises(ValueError, match="cannot exclude"):
        beam_search(random_prefixes(trie, 1, 0, 3), tensors, 2, closed, constrained=False)


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_largest_is_a_stable_descending_sort(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([-np.inf, -2.5, -1.0, -0.0, 0.0, 1.5, -1e-30], size=(3, n)).astype(
        np.float32
    )
    chosen, columns = largest(torch.from_numpy(values), min(k, n))
    expected = np.argsort(-values, axis=1, kind="stable")[:, :k]
    assert columns.tolist() == expected.tolist()
    np.testing.assert_array_equal(chosen, np.take_along_axis(values, expected, axis=1))
