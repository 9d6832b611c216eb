import numpy as np
import pyarrow as pa

from tiger_pipeline.evaluation.protocol import EvaluationProtocol
from tiger_pipeline.evaluation.result_tables import MetricValues, metrics_table, ranks_table

TEST = EvaluationProtocol("test", "masked", candidates=9, users=2, tie_break="source")
VALID = EvaluationProtocol("valid", "masked", candidates=9, users=2, tie_break="source")


def test_values_are_found_by_all_that_they_depend_on():
    table = pa.concat_tables(
        [
            metrics_table("a", VALID, [("ndcg", 10, 0.1), ("hit_rate", 10, 0.2)]),
            metrics_table("a", TEST, [("ndcg", 10, 0.3), ("ndcg", 5, 0.25)]),
            metrics_table("b", TEST, [("ndcg", 10, 0.4)]),
        ]
    )
    values = MetricValues(table)
    assert values.get("a", "valid", "masked", "ndcg", 10) == 0.1
    assert values.get("a", "test", "masked", "ndcg", 10) == 0.3
    assert values.get("b", "test", "masked", "ndcg", 10) == 0.4
    assert values.get("b", "test", "kept", "ndcg", 10) is None
    assert (values.models, values.splits, values.cutoffs) == (
        ["a", "b"],
        ["valid", "test"],
        [5, 10],
    )
    assert (values.headline_split(), values.headline_cutoff) == ("test", 10)


def test_the_headline_split_of_a_model_is_one_that_it_was_measured_on():
    values = MetricValues(
        pa.concat_tables(
            [
                metrics_table("a", VALID, [("ndcg", 10, 0.1)]),
                metrics_table("b", TEST, [("ndcg", 10, 0.3)]),
            ]
        )
    )
    assert [values.headline_split(model) for model in ("a", "b", None)] == ["valid", "test", "test"]
    assert (values.models_on("valid"), values.models_on("test")) == (["a"], ["b"])


def test_headline_without_test_split_or_cutoff_10():
    values = MetricValues(metrics_table("a", VALID, [("ndcg", 3, 0.1), ("ndcg", 50, 0.2)]))
    assert (values.headline_split(), values.headline_cutoff) == ("valid", 50)


def test_ranks_of_users():
    ids = np.array(["u", 7], dtype=object)
    table = ranks_table("a", TEST, ids, np.array([0, 3], np.int32), np.array([True, False]))
    assert table.to_pylist() == [
        {"model": "a", "split": "test", "seen": "masked", "user_id": "u", "rank": 0}
        | {"target_seen": True},
        {"model": "a", "split": "test", "seen": "masked", "user_id": "7", "rank": 3}
        | {"target_seen": False},
    ]
