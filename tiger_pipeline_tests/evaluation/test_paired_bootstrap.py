import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm, ttest_rel

from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.evaluation import paired_bootstrap
from tiger_pipeline.evaluation.metrics import ndcg_per_user
from tiger_pipeline.evaluation.paired_bootstrap import PerUserRanks, bootstrap_mean
from tiger_pipeline.evaluation.protocol import EvaluationProtocol
from tiger_pipeline.evaluation.result_tables import ranks_table


def random_ranks(seed: int, n: int, hit_rate: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < hit_rate, rng.integers(1, 11, n), 0)


def test_the_interval_is_that_of_drawing_users_one_by_one():
    """Against SciPy, which gathers n users for every resample."""
    differences = ndcg_per_user(random_ranks(0, 600, 0.2), 10) - ndcg_per_user(
        random_ranks(1, 600, 0.1), 10
    )
    ours = bootstrap_mean(differences, seed=0)
    theirs = bootstrap(
        (differences,), np.mean, n_resamples=10_000, method="percentile", rng=1, batch=1000
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.mean == pytest.approx(differences.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1])
def test_with_many_users_the_p_value_is_that_of_the_paired_t_test(shift: float):
    rng = np.random.default_rng(3)
    one = rng.choice([0.0, 0.3, 0.5, 1.0], 2000)
    other = rng.choice([0.0, 0.3, 0.5, 1.0], 2000) - shift * rng.integers(2, size=2000)
    expected = ttest_rel(one, other).pvalue
    assert bootstrap_mean(one - other, seed=0).p_value == pytest.approx(expected, abs=0.02)


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(5)
    trials = 300
    covered = 0
    for trial in range(trials):
        differences = rng.choice([-1.0, 0.0, 1.0], size=300, p=[0.1, 0.75, 0.15])
        found = bootstrap_mean(differences, seed=trial, resamples=1000)
        covered += found.low <= 0.05 <= found.high
    spread = norm.ppf(0.9999) * np.sqrt(0.95 * 0.05 / trials)
    assert abs(covered / trials - 0.95) < spread


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_invariants(values: list[int], seed: int):
    differences = np.array(values, dtype=np.float64) / 3
    found = bootstrap_mean(differences, seed, resamples=300)
    assert found == bootstrap_mean(differences[::-1], seed, resamples=300)
    assert differences.min() - 1e-9 <= found.low <= found.high <= differences.max() + 1e-9
    assert 0 < found.p_value <= 1
    if found.p_value < 0.04:
        assert found.low > 0 or found.high < 0


def test_a_smaller_table_of_counts_changes_nothing_but_memory(monkeypatch: pytest.MonkeyPatch):
    differences = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], size=50)
    whole = bootstrap_mean(differences, seed=4, resamples=500)
    monkeypatch.setattr(paired_bootstrap, "_CELLS_AT_ONCE", 10)
    assert bootstrap_mean(differences, seed=4, resamples=500) == whole


def test_gains_and_losses_that_cancel_are_a_tie():
    gains = ndcg_per_user(np.array([2, 3, 5, 6, 7]), 10)
    for seed in range(5):
        found = bootstrap_mean(np.concatenate([gains, -gains]), seed)
        assert found.p_value > 0.9


def table_of(model: str, ranks: list[int], users: list[str], split: str = "test") -> pa.Table:
    protocol = EvaluationProtocol(split, "masked", 99, len(ranks), "source")
    return ranks_table(
        model,
        protocol,
        np.array(users, dtype=object),
        np.array(ranks, dtype=np.int32),
        np.zeros(len(ranks), dtype=bool),
    )


def test_models_are_compared_user_by_user_whatever_the_order_of_rows():
    ranks = PerUserRanks(
        pa.concat_tables(
            [
                table_of("a", [1, 3, 0, 20], ["u1", "u2", "u3", "u4"]),
                table_of("b", [0, 0, 1, 3], ["u4", "u3", "u2", "u1"]),
                table_of("b", [1, 1], ["u1", "u2"], split="valid"),
            ]
        )
    )
    found = ranks.compare("a", "b", "test", "masked", "ndcg", 10)
    assert found.difference == bootstrap_mean(np.array([1 - 0.5, 0.5 - 1, 0, 0]))
    assert (found.model, found.other, found.users) == ("a", "b", 4)
    assert ranks.compare("a", "b", "test", "masked", "hit_rate", 1).difference.mean == 0.0


@pytest.mark.parametrize("users", [["u1", "u3"], ["u1"], ["u1", "u2", "u3"]])
def test_other_users_are_refused(users: list[str]):
    ranks = PerUserRanks(
        pa.concat_tables(
            [table_of("a", [1, 2], ["u1", "u2"]), table_of("b", [1] * len(users), users)]
        )
    )
    with pytest.raises(ArtifactMismatchError, match=r"'a' and 'b' cannot be compared.*'u[23]' is"):
        ranks.compare("a", "b", "test", "masked", "ndcg", 10)


def test_a_model_without_ranks_is_named():
    ranks = PerUserRanks(table_of("a", [1], ["u1"]))
    with pytest.raises(ArtifactMismatchError, match="no ranks of 'b' on test"):
        ranks.compare("a", "b", "test", "masked", "ndcg", 10)
