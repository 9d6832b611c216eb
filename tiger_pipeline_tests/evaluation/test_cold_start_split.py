import numpy as np
import pytest

from tiger_pipeline.catalog.sequences import SPLITS
from tiger_pipeline.errors import InputError
from tiger_pipeline.evaluation.cold_start_split import hold_out_items
from tiger_pipeline_tests.evaluation.synthetic import random_sequences, sequences_of

SEQUENCES = random_sequences(80, 40, seed=4)
SPLIT = hold_out_items(SEQUENCES, 0.2, seed=1)


def test_the_share_is_of_the_distinct_test_items():
    targets = np.unique(SEQUENCES.evaluation("test")[1])
    assert len(SPLIT.cold_item_ids) == round(0.2 * len(targets))
    assert set(SPLIT.cold_item_ids) <= set(SEQUENCES.item_ids[targets])


def test_nothing_that_is_fitted_or_read_holds_a_cold_item():
    assert not set(SPLIT.training.item_ids).intersection(SPLIT.cold_item_ids)
    assert SPLIT.training.items.max() < SPLIT.training.n_items
    assert SPLIT.histories.items.max() < SPLIT.training.n_items


def test_every_target_of_a_user_with_training_interactions_stays():
    ids = np.concatenate([SPLIT.training.item_ids, SPLIT.cold_item_ids])
    histories, targets = SEQUENCES.evaluation("test")
    expected = {}
    for row, target in enumerate(targets):
        user = histories.users[row]
        whole = slice(SEQUENCES.offsets[user], SEQUENCES.offsets[user + 1])
        items, splits = SEQUENCES.items[whole], SEQUENCES.splits[whole]
        warm = [
            (str(SEQUENCES.item_ids[item]), int(split))
            for item, split in zip(items, splits, strict=True)
            if SEQUENCES.item_ids[item] not in set(SPLIT.cold_item_ids)
        ]
        if any(split == SPLITS.index("train") for _, split in warm):
            before = [item for item, split in warm if split != SPLITS.index("test")]
            expected[user] = (before, SEQUENCES.item_ids[target])
    found = {
        user: ([str(ids[item]) for item in SPLIT.histories[row]], ids[SPLIT.targets[row]])
        for row, user in enumerate(SPLIT.histories.users)
    }
    assert found == expected
    assert SPLIT.users_left_out == SEQUENCES.n_users - len(expected)


def test_cold_targets_are_those_of_the_held_out_items():
    ids = np.concatenate([SPLIT.training.item_ids, SPLIT.cold_item_ids])
    is_held_out = np.isin(ids[SPLIT.targets].astype(str), SPLIT.cold_item_ids.astype(str))
    assert SPLIT.is_cold_target.tolist() == is_held_out.tolist()
    assert SPLIT.is_cold_target.any()


def test_the_draw_follows_the_seed():
    again, other = hold_out_items(SEQUENCES, 0.2, seed=1), hold_out_items(SEQUENCES, 0.2, seed=2)
    assert again.cold_item_ids.tolist() == SPLIT.cold_item_ids.tolist()
    assert other.cold_item_ids.tolist() != SPLIT.cold_item_ids.tolist()


def test_at_least_one_item_is_held_out():
    assert len(hold_out_items(SEQUENCES, 1e-9, seed=0).cold_item_ids) == 1


def test_without_test_targets_there_is_a_clear_error():
    with pytest.raises(InputError, match="no item can be held out"):
        hold_out_items(sequences_of({"a": [0, 1]}, 3), 0.5, seed=0)
