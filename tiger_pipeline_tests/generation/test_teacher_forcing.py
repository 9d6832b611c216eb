import numpy as np
import pytest
import torch

from tiger_pipeline.generation.beam_search import beam_search
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.teacher_forcing import semantic_id_logp, states_of_items
from tiger_pipeline.generation.trie_tensors import DenseTrie
from tiger_pipeline.semantic_ids.trie import NO_STATE, ROOT, SemanticIdTrie
from tiger_pipeline_tests.generation.catalogs import random_histories, random_semantic_ids
from tiger_pipeline_tests.generation.item_decoders import item_decoder
from tiger_pipeline_tests.generation.test_beam_search import small_model

SEMANTIC_IDS = random_semantic_ids(1, 25)
TRIE = DenseTrie(SemanticIdTrie.from_semantic_ids(SEMANTIC_IDS), torch.device("cpu"))


def test_the_ways_of_the_items_spell_the_table() -> None:
    ways = states_of_items(TRIE)
    assert (ways[:, 0] == ROOT).all()
    steps = ways[:, 1:]
    codes = torch.where(steps == NO_STATE, -1, TRIE.code_of_state[steps]).numpy()
    assert codes[:, :3].tolist() == SEMANTIC_IDS.codes.tolist()
    assert SEMANTIC_IDS.needs_suffix.any()
    suffixes = np.where(SEMANTIC_IDS.needs_suffix, SEMANTIC_IDS.suffixes, -1)
    assert codes[:, 3].tolist() == suffixes.tolist()


@pytest.mark.parametrize("model", [small_model(SEMANTIC_IDS, 2), item_decoder(SEMANTIC_IDS)])
@torch.no_grad()
def test_items_score_as_the_beam_search_scores_them(model: Generator) -> None:
    histories = random_histories(3, n_users=4, n_items=25)
    batch = model.history_examples(histories).batch(np.arange(4))
    found = beam_search(model.encode(batch), TRIE, beams=25)
    logp = semantic_id_logp(model.encode(batch), TRIE, states_of_items(TRIE)[found.items])
    torch.testing.assert_close(logp, found.logp)
