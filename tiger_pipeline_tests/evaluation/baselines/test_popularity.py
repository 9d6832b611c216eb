import numpy as np
import pytest

from tiger_pipeline.evaluation.baselines.popularity import PopularityRecommender, item_popularity
from tiger_pipeline_tests.evaluation.synthetic import histories_of

TRAINING = histories_of([2, 1], [2, 1], [2, 4])
"""Counts: item 2 three, item 1 two, item 4 one, items 0 and 3 none."""


def test_ranks_by_training_counts_and_then_by_index():
    result = PopularityRecommender(TRAINING, 5).recommend(histories_of([]), 7, exclude_seen=False)
    assert result.items.tolist() == [[2, 1, 4, 0, 3, -1, -1]]
    assert np.exp(result.logp[0]) == pytest.approx([4 / 11, 3 / 11, 2 / 11, 1 / 11, 1 / 11, 0, 0])


def test_seen_items_are_skipped_a_user_at_a_time():
    histories = histories_of([2, 4], [], [1, 1, 0])
    result = PopularityRecommender(TRAINING, 5).recommend(histories, 3, exclude_seen=True)
    assert result.items.tolist() == [[1, 0, 3], [2, 1, 4], [2, 4, 3]]


def test_shares_sum_to_one():
    assert item_popularity(TRAINING, 5).sum() == pytest.approx(1)
