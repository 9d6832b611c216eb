import numpy as np
import pytest
from scipy.stats import chisquare

from tiger_pipeline.evaluation.baselines.random_ranking import RandomRecommender
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.evaluation.protocol import evaluate
from tiger_pipeline.evaluation.result_tables import MetricValues
from tiger_pipeline_tests.evaluation.synthetic import histories_of, random_sequences


def test_hits_as_often_as_chance():
    # HR@k of a random ranking of n items is k / n; 3 standard errors of 3,000 users around it.
    sequences = random_sequences(3000, 50, seed=1, longest=3)
    config = EvaluationConfig(splits=("test",))
    result = evaluate(RandomRecommender(50, seed=2), sequences, config, "random")
    measured = MetricValues(result.metrics).get("random", "test", "kept", "hit_rate", 10)
    assert measured == pytest.approx(10 / 50, abs=3 * np.sqrt(0.2 * 0.8 / 3000))


def test_the_first_unseen_item_is_uniform():
    histories = histories_of(*[[0, 1]] * 2000)
    items = RandomRecommender(6, seed=3).recommend(histories, 1, exclude_seen=True).items[:, 0]
    counts = np.bincount(items, minlength=6)
    assert counts[:2].tolist() == [0, 0]
    assert chisquare(counts[2:]).pvalue > 0.001


def test_is_a_function_of_seed_and_user():
    histories = histories_of([1], [2], [3, 4], [])
    recommender = RandomRecommender(30, seed=4)
    together = recommender.recommend(histories, 5, exclude_seen=True).items
    alone = [
        recommender.recommend(histories.select(np.array([row])), 5, exclude_seen=True).items[0]
        for row in range(4)
    ]
    assert together.tolist() == np.array(alone).tolist()
    assert len({tuple(row) for row in together.tolist()}) == 4
    other = RandomRecommender(30, seed=5).recommend(histories, 5, exclude_seen=True).items
    assert other.tolist() != together.tolist()


def test_a_small_catalog_is_listed_whole():
    result = RandomRecommender(4, seed=0).recommend(histories_of([2, 2], []), 6, exclude_seen=True)
    assert sorted(result.items[0].tolist()) == [-1, -1, -1, 0, 1, 3]
    assert sorted(result.items[1].tolist()) == [-1, -1, 0, 1, 2, 3]
