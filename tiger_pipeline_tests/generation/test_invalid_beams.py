import numpy as np
import pytest

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.generation.invalid_beams import invalid_beam_share
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import random_histories, random_semantic_ids
from tiger_pipeline_tests.generation.test_beam_search import small_model

N_ITEMS = 12
IDS = random_semantic_ids(4, N_ITEMS)
HISTORIES = random_histories(6, n_users=5, n_items=N_ITEMS, longest=6)


def share(beams: int, users_per_batch: int) -> float:
    trie = SemanticIdTrie.from_semantic_ids(IDS)
    model = small_model(IDS, seed=3)
    return invalid_beam_share(model, trie, HISTORIES, beams, users_per_batch, cpu())


def test_a_search_as_wide_as_all_tuples_finds_every_item_and_every_other_tuple() -> None:
    alone = int((~IDS.needs_suffix).sum())
    shared = len(np.unique(IDS.codes[IDS.needs_suffix], axis=0))
    found = int(np.prod(IDS.codebook_sizes)) - shared + shared * IDS.suffix_size
    assert alone > 0
    assert shared > 0
    assert share(beams=500, users_per_batch=2) == pytest.approx((found - N_ITEMS) / found)


def test_batches_do_not_matter() -> None:
    whole = share(beams=7, users_per_batch=5)
    assert 0 < whole < 1
    assert share(beams=7, users_per_batch=2) == pytest.approx(whole)
