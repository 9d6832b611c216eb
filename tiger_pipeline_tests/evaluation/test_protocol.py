import math

import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.catalog.config import GlobalTimeConfig, LeaveOneOutConfig, SplitConfig
from tiger_pipeline.catalog.sequences import SPLITS, UserSequences
from tiger_pipeline.errors import ArtifactMismatchError, InputError
from tiger_pipeline.evaluation.baselines.standard import standard_baselines
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.evaluation.protocol import EvaluationProtocol, evaluate, make_validator
from tiger_pipeline.evaluation.result_tables import MetricValues
from tiger_pipeline.generation.recommendations import Recommendations
from tiger_pipeline_tests.evaluation.synthetic import (
    FixedRecommender,
    random_sequences,
    sequences_of,
)

CONFIG = EvaluationConfig(cutoffs=(1, 2, 5), users_per_batch=2)
SOURCE_ORDER = LeaveOneOutConfig()
SHUFFLED = LeaveOneOutConfig(tie_break="shuffle", seed=7)


def test_values_worked_out_by_hand():
    # Everybody is recommended 0, 1, 2, …; the histories before the test target are
    # a: 0 1 → target 2; b: 4 0 → target 1; c: 1 2 → target 1 (seen already).
    sequences = sequences_of({"a": [0, 1, 2], "b": [4, 0, 1], "c": [1, 2, 1]}, n_items=6)
    result = evaluate(FixedRecommender(6), sequences, CONFIG, "fixed")
    ranks = {
        (row["split"], row["seen"], row["user_id"]): row["rank"] for row in result.ranks.to_pylist()
    }
    assert [ranks["test", "masked", user] for user in "abc"] == [1, 1, 0]
    assert [ranks["test", "kept", user] for user in "abc"] == [3, 2, 2]
    assert [ranks["valid", "masked", user] for user in "abc"] == [1, 1, 2]
    values = MetricValues(result.metrics)
    assert values.get("fixed", "test", "masked", "hit_rate", 1) == 2 / 3
    assert values.get("fixed", "test", "kept", "hit_rate", 2) == 2 / 3
    assert values.get("fixed", "test", "kept", "ndcg", 5) == pytest.approx(
        (1 / math.log2(4) + 2 / math.log2(3)) / 3
    )
    assert result.targets_already_seen == {"valid": 0, "test": 1}
    seen = [row["user_id"] for row in result.ranks.to_pylist() if row["target_seen"]]
    assert seen == ["c", "c"]  # test, masked and kept


def test_every_row_carries_its_protocol():
    sequences = random_sequences(7, 12, seed=1)
    result = evaluate(FixedRecommender(12), sequences, CONFIG, "fixed", SHUFFLED)
    rows = result.metrics.to_pylist()
    assert len(rows) == 2 * 2 * 2 * 3  # splits, seen, metrics, cutoffs
    for row in rows:
        assert (row["model"], row["users"], row["candidates"]) == ("fixed", 7, 12)
        assert (row["ranking"], row["tie_break"]) == ("full", "shuffle (seed 7)")
        assert row["holdout"] == "leave_one_out"
        assert row["search"] == "every candidate"
    assert result.ranks.num_rows == 2 * 2 * 7


def test_batches_do_not_matter():
    sequences = random_sequences(23, 15, seed=2)
    for name, recommender in standard_baselines(sequences, seed=5).items():
        one, many = (
            evaluate(recommender, sequences, EvaluationConfig(users_per_batch=size), name)
            for size in (1000, 3)
        )
        assert one.metrics.equals(many.metrics)
        assert one.ranks.equals(many.ranks)


def test_masked_targets_that_were_seen_are_never_hit():
    sequences = random_sequences(40, 8, seed=3)
    for name, recommender in standard_baselines(sequences, seed=5).items():
        rows = evaluate(recommender, sequences, EvaluationConfig(), name).ranks.to_pylist()
        seen = [row for row in rows if row["target_seen"] and row["seen"] == "masked"]
        unseen = [row for row in rows if not row["target_seen"]]
        assert seen
        assert all(row["rank"] == 0 for row in seen)
        # With fewer items than places every other target is found.
        assert all(row["rank"] > 0 for row in unseen)


def test_a_user_without_history_is_named():
    sequences = UserSequences(
        user_ids=np.array(["anna", "bert"], dtype=object),
        item_ids=np.array(["x", "y", "z"], dtype=object),
        offsets=np.array([0, 3, 4]),
        items=np.array([0, 1, 2, 1], dtype=np.int32),
        splits=np.array(
            [SPLITS.index(split) for split in ("train", "valid", "test", "test")], dtype=np.int8
        ),
    )
    with pytest.raises(InputError, match="User 'bert' has a test interaction but none before"):
        evaluate(FixedRecommender(3), sequences, CONFIG, "fixed")


def test_no_targets_is_an_error_that_says_what_to_do():
    sequences = sequences_of({"a": [0, 1], "b": [1]}, n_items=3)
    with pytest.raises(InputError, match=r"No user has a valid interaction.*min_history"):
        evaluate(FixedRecommender(3), sequences, CONFIG, "fixed")
    with pytest.raises(InputError, match="No user has a valid interaction"):
        make_validator(sequences, CONFIG, n_users=10, seed=0)


class _Broken:
    def __init__(self, items: list[list[int]]) -> None:
        self._items = np.array(items, dtype=np.int32)

    def recommend(self, histories, top_k, exclude_seen):
        return Recommendations(self._items, np.zeros(self._items.shape, np.float32))


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        ([[3, 4, 4, -1, -1]], "same item twice"),
        ([[3, 0, 4, -1, -1]], "already seen"),
        ([[3, 4]], "shape"),
    ],
)
def test_lists_that_would_make_the_numbers_wrong_are_refused(items, complaint):
    sequences = sequences_of({"a": [0, 1, 2]}, n_items=6)
    with pytest.raises(ValueError, match=f"_Broken recommended .*{complaint}"):
        evaluate(_Broken(items), sequences, CONFIG, "broken")


def test_validator_measures_masked_validation_targets():
    sequences = random_sequences(30, 40, seed=4)
    recommender = standard_baselines(sequences, seed=0)["popularity"]
    validate = make_validator(sequences, CONFIG, n_users=1000, seed=0)
    values = MetricValues(
        evaluate(recommender, sequences, EvaluationConfig(), "popularity").metrics
    )
    assert validate(recommender) == {
        "hit_rate@10": values.get("popularity", "valid", "masked", "hit_rate", 10),
        "ndcg@10": values.get("popularity", "valid", "masked", "ndcg", 10),
    }


def test_validator_samples_by_its_seed():
    sequences = random_sequences(200, 30, seed=4)
    recommender = standard_baselines(sequences, seed=0)["popularity"]

    def measured(seed: int) -> dict[str, float]:
        return make_validator(sequences, CONFIG, n_users=20, seed=seed)(recommender)

    assert measured(1) == measured(1)
    assert len({measured(seed)["ndcg@10"] for seed in range(6)}) > 1


def test_progress_counts_every_user_of_every_pass():
    from contextlib import contextmanager

    class Counter:
        def __init__(self) -> None:
            self.total = self.done = 0

        @contextmanager
        def task(self, name, total, unit="steps"):
            self.total = total
            yield self

        def advance(self, amount=1, **figures):
            self.done += amount

        def note(self, message):
            raise AssertionError("an evaluation has nothing to note")

    counter = Counter()
    sequences = random_sequences(7, 12, seed=1)
    evaluate(FixedRecommender(12), sequences, CONFIG, "fixed", progress=counter)
    assert counter.done == counter.total == 4 * 7


class TestProtocolOfATable:
    def metrics(self, model: str, n_items: int, data_split: SplitConfig = SOURCE_ORDER) -> pa.Table:
        sequences = random_sequences(5, n_items, seed=1)
        return evaluate(FixedRecommender(n_items), sequences, CONFIG, model, data_split).metrics

    def test_is_read_back(self):
        protocol = EvaluationProtocol.of(self.metrics("a", 9), "test", "kept")
        assert protocol == EvaluationProtocol("test", "kept", 9, 5, "source")
        words = protocol.in_words()
        for expected in ("last interaction of each of 5 users", "all 9 items", "source order"):
            assert expected in words

    @pytest.mark.parametrize(
        ("other", "difference"),
        [
            (SHUFFLED, r"tie_break is 'source' for one and 'shuffle \(seed 7\)'"),
            (GlobalTimeConfig(), r"holdout is 'leave_one_out' for one and 'global_time \(valid"),
        ],
    )
    def test_of_models_measured_differently_is_refused(self, other: SplitConfig, difference: str):
        table = pa.concat_tables([self.metrics("a", 9), self.metrics("b", 9, other)])
        with pytest.raises(ArtifactMismatchError, match=f"'a' and 'b'.*{difference}"):
            EvaluationProtocol.of(table, "test", "masked")

    def test_of_a_time_split_says_what_was_trained_on(self):
        protocol = EvaluationProtocol.of(self.metrics("a", 9, GlobalTimeConfig()), "test", "kept")
        words = protocol.in_words()
        assert "what each of 5 users did first in the test period" in words
        assert "global_time (valid from 0.8, test from 0.9)" in words
        assert "leave-one-out" not in words

    def test_of_a_rehearsal_says_that_it_is_one(self):
        table = self.metrics("a", 9, LeaveOneOutConfig(rehearsal=True))
        words = EvaluationProtocol.of(table, "test", "kept").in_words()
        assert "last interaction of each of 5 users" in words
        assert "(leave-one-out, after the real test targets were left out: a rehearsal)." in words

    def test_of_a_split_that_was_not_measured_is_refused(self):
        with pytest.raises(ArtifactMismatchError, match="hold no test values"):
            EvaluationProtocol.of(self.metrics("a", 9).slice(0, 3), "test", "masked")


def test_a_time_split_is_measured_by_its_histories_and_counts_untrained_targets():
    rows = [
        ("a", 0, "train"), ("a", 1, "valid"), ("a", 2, "valid_rest"), ("a", 3, "test"),
        ("a", 4, "test_rest"),
        ("b", 5, "valid_rest"), ("b", 0, "test"),
        ("c", 1, "train"), ("c", 5, "test"),
        ("d", 3, "test_rest"),
    ]  # fmt: skip
    users, items, splits = zip(*rows, strict=True)
    table = pa.table(
        {"user_id": users, "item_id": [f"item{i}" for i in items], "split": list(splits)}
    )
    sequences = UserSequences.from_table(table, [f"item{i}" for i in range(6)])
    assert [list(sequences.training()[user]) for user in range(4)] == [[0], [], [1], []]

    result = evaluate(FixedRecommender(6), sequences, CONFIG, "fixed", GlobalTimeConfig())
    ranks = {
        (row["split"], row["user_id"]): row["rank"]
        for row in result.ranks.to_pylist()
        if row["seen"] == "masked"
    }
    # a: after 0 comes 1; after 0 1 2 comes 3. b: after 5 comes 0. c: after 1 comes 5.
    assert ranks == {
        ("valid", "a"): 1, ("test", "a"): 1, ("test", "b"): 1, ("test", "c"): 5,
    }  # fmt: skip
    assert result.untrained_targets == {"valid": 0, "test": 2}
    for name, recommender in standard_baselines(sequences, seed=1).items():
        measured = evaluate(recommender, sequences, CONFIG, name, GlobalTimeConfig())
        assert measured.ranks.num_rows == 2 * 4
