import numpy as np

from tiger_pipeline.generation.tokens import BEGIN, PAD, ItemTokenizer, TokenVocabulary
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline_tests.generation.catalogs import random_histories, random_semantic_ids


def test_levels_have_ranges_of_their_own_after_pad_and_begin() -> None:
    vocabulary = TokenVocabulary((4, 3, 2))
    assert vocabulary.level_offsets == (2, 6, 9)
    assert vocabulary.size == 11
    assert {PAD, BEGIN} == {0, 1}


def test_tokens_by_hand_with_a_suffix_only_where_codes_are_shared() -> None:
    # Items 0 and 2 share their codes; item 1 is alone. Offsets: 2, 6 and 9 for the suffix.
    codes = np.array([[1, 2], [3, 0], [1, 2]])
    tokenizer = ItemTokenizer(SemanticIds.from_codes(["a", "b", "c"], codes, (4, 3)))
    assert tokenizer.item_lengths.tolist() == [3, 2, 3]

    sequences = tokenizer.tokenize(np.array([2, 1, 0]), np.array([0, 2, 2, 3]))
    assert sequences.tokens.tolist() == [BEGIN, 3, 8, 10, 5, 6, BEGIN, BEGIN, 3, 8, 9]
    assert sequences.levels.tolist() == [-1, 0, 1, 2, 0, 1, -1, -1, 0, 1, 2]
    assert sequences.item_positions.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert sequences.offsets.tolist() == [0, 6, 7, 11]
    assert sequences.lengths.tolist() == [6, 1, 4]


def test_without_collisions_there_is_no_suffix_level() -> None:
    codes = np.array([[0, 0], [0, 1]])
    tokenizer = ItemTokenizer(SemanticIds.from_codes(["a", "b"], codes, (1, 2)))
    assert tokenizer.vocabulary.codebook_sizes == (1, 2)


def test_tokens_equal_those_written_one_item_at_a_time() -> None:
    semantic_ids = random_semantic_ids(3)
    histories = random_histories(4, n_users=20, n_items=30)
    tokenizer = ItemTokenizer(semantic_ids)
    sequences = tokenizer.tokenize(histories.items, histories.offsets)
    offsets = tokenizer.vocabulary.level_offsets
    for user in range(len(histories)):
        expected = [BEGIN]
        for item in histories[user]:
            codes = list(semantic_ids.codes[item])
            if semantic_ids.needs_suffix[item]:
                codes.append(semantic_ids.suffixes[item])
            expected += [code + offset for code, offset in zip(codes, offsets, strict=False)]
        start, stop = sequences.offsets[user : user + 2]
        assert sequences.tokens[start:stop].tolist() == expected
