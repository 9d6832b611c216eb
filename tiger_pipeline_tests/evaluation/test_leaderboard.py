import io
import statistics

import matplotlib.image
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.evaluation.leaderboard import (
    build_leaderboard,
    leaderboard_markdown,
    leaderboard_picture,
)
from tiger_pipeline.evaluation.metrics import ndcg
from tiger_pipeline.evaluation.paired_bootstrap import bootstrap_mean
from tiger_pipeline.evaluation.protocol import EvaluationProtocol
from tiger_pipeline.evaluation.result_tables import metrics_table, ranks_table

_CELLS = [("hit_rate", 1), ("hit_rate", 5), ("hit_rate", 10), ("ndcg", 5), ("ndcg", 10)]


def _metrics(model: str, level: float, users: int = 50, splits=("valid", "test")) -> pa.Table:
    """Values `level` + k/1000, halved with seen items kept, doubled on validation."""
    return pa.concat_tables(
        metrics_table(
            model,
            EvaluationProtocol(split, seen, candidates=99, users=users, tie_break="source"),
            [
                (name, k, (level + k / 1000) * (2 if split == "valid" else 1) * factor)
                for name, k in _CELLS
            ],
        )
        for split in splits
        for seen, factor in (("masked", 1.0), ("kept", 0.5))
    )


_SUMMARY = {
    "parameters": 1_500_000,
    "training_seconds": 61.4,
    "perplexities": [200.4, 180.0],
    "colliding_items": 12,
    "suffix_tokens": 3,
    "best_epoch": 8,
    "seed": 0,
}


@pytest.fixture
def leaderboard() -> pa.Table:
    metrics = {"kmeans": _metrics("kmeans", 0.04), "random": _metrics("random", 0.01)}
    baselines = pa.concat_tables([_metrics("popularity", 0.002), _metrics("knn", 0.03)])
    return build_leaderboard(metrics, {"kmeans": _SUMMARY}, baselines)


def test_rows_are_sorted_by_test_ndcg_at_10(leaderboard):
    rows = leaderboard.to_pylist()
    assert [(row["rank"], row["model"], row["kind"]) for row in rows] == [
        (1, "kmeans", "variant"),
        (2, "knn", "baseline"),
        (3, "random", "variant"),
        (4, "popularity", "baseline"),
    ]
    first = rows[0]
    assert first["hit_rate@1"] == pytest.approx(0.041)
    assert first["hit_rate@5"] == pytest.approx(0.045)
    assert first["ndcg@10"] == pytest.approx(0.05)
    assert first["ndcg@10_seen_kept"] == pytest.approx(0.025)
    assert first["perplexities"] == [200.4, 180.0]
    assert (first["parameters"], first["colliding_items"]) == (1_500_000, 12)
    assert (first["users"], first["candidates"], first["tie_break"]) == (50, 99, "source")
    assert rows[1]["parameters"] is None


def test_baselines_inside_a_variants_table_do_not_count_twice():
    with_baseline = pa.concat_tables([_metrics("kmeans", 0.04), _metrics("popularity", 0.002)])
    rows = build_leaderboard({"kmeans": with_baseline}, {}, with_baseline).to_pylist()
    assert [row["model"] for row in rows] == ["kmeans", "popularity"]


def test_equal_values_are_ordered_by_name():
    metrics = {name: _metrics(name, 0.02) for name in ("b", "c", "a")}
    assert build_leaderboard(metrics, {})["model"].to_pylist() == ["a", "b", "c"]


def test_a_missing_cutoff_is_unknown():
    metrics = _metrics("kmeans", 0.04).filter(pc.field("k") == 10)
    leaderboard = build_leaderboard({"kmeans": metrics}, {})
    assert leaderboard["hit_rate@1"].to_pylist() == [None]
    assert "| – |" in leaderboard_markdown(leaderboard)


def test_variants_measured_differently_are_refused():
    metrics = {"a": _metrics("a", 0.1), "b": _metrics("b", 0.1, users=49)}
    with pytest.raises(ArtifactMismatchError, match=r"'a' and 'b'.*users is 50 for one and 49"):
        build_leaderboard(metrics, {})


def test_a_variant_without_test_values_is_named():
    metrics = {"a": _metrics("a", 0.1), "b": _metrics("b", 0.1, splits=("valid",))}
    with pytest.raises(ArtifactMismatchError, match="variant 'b' hold no test values"):
        build_leaderboard(metrics, {})


def test_nothing_to_compare():
    with pytest.raises(ArtifactMismatchError, match="no metrics to compare"):
        build_leaderboard({}, {})


def _measured(model: str, ranks: list[int]) -> tuple[pa.Table, pa.Table]:
    users = np.array([f"u{user}" for user in range(len(ranks))], dtype=object)
    protocols = [
        EvaluationProtocol("test", seen, candidates=99, users=len(ranks), tie_break="source")
        for seen in ("masked", "kept")
    ]
    value = ndcg(np.array(ranks), 10)
    seen = np.zeros(len(ranks), dtype=bool)
    return (
        pa.concat_tables(metrics_table(model, p, [("ndcg", 10, value)]) for p in protocols),
        pa.concat_tables(ranks_table(model, p, users, np.array(ranks), seen) for p in protocols),
    )


def test_every_row_is_compared_with_the_one_above():
    best, best_ranks = _measured("best", [1] * 40 + [0] * 60)
    same, same_ranks = _measured("same", [0] * 60 + [1] * 40)
    worst, worst_ranks = _measured("worst", [0] * 100)
    board = build_leaderboard(
        {"best": best, "same": same},
        {},
        worst,
        {"best": best_ranks, "same": pa.concat_tables([same_ranks, worst_ranks])},
        worst_ranks,
    )
    first, second, third = board.to_pylist()
    assert first["against_row_above"] is None
    assert second["against_row_above"] == pytest.approx(0.0)
    assert second["against_row_above_p"] > 0.9
    assert third["against_row_above"] == pytest.approx(-0.4)
    assert third["against_row_above_low"] < -0.4 < third["against_row_above_high"] < 0
    assert third["against_row_above_p"] < 0.001
    lines = leaderboard_markdown(board).splitlines()
    assert "| -0.4000 [-0.5000, -0.3000] | < 0.001 |" in lines[4]


def test_without_a_value_at_10_there_is_no_comparison():
    tables = {name: _measured(name, [1, 0]) for name in ("a", "b")}
    metrics = {
        name: metrics_table(
            name, EvaluationProtocol("test", "masked", 9, 2, "source"), [("ndcg", 1, 0.5)]
        )
        for name in tables
    }
    board = build_leaderboard(metrics, {}, None, {n: ranks for n, (_, ranks) in tables.items()})
    assert board["against_row_above"].to_pylist() == [None, None]


def test_markdown(leaderboard):
    lines = leaderboard_markdown(leaderboard).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[0].startswith("| # | model | seeds | HR@1 | HR@5 | HR@10 | NDCG@5 | NDCG@10 |")
    assert lines[2] == (
        "| 1 | **kmeans** | 1 | 0.0410 | 0.0450 | 0.0500 | 0.0450 | 0.0500 | 0.0250 "
        "| – | – | 200 / 180 | 12 | 3 | 1,500,000 | 61 |"
    )
    assert lines[3].startswith("| 2 | *knn* | – |")


def test_picture(leaderboard):
    picture = matplotlib.image.imread(io.BytesIO(leaderboard_picture(leaderboard)), format="png")
    assert picture.shape[1] == 1140


def test_a_variant_is_shown_by_its_codes_alone_too():
    own = pa.concat_tables(
        [_metrics("fused", 0.06), _metrics("fused, codes alone", 0.05), _metrics("knn", 0.03)]
    )
    rows = build_leaderboard({"fused": own}, {"fused": _SUMMARY}).to_pylist()
    assert [(row["model"], row["kind"]) for row in rows] == [
        ("fused", "variant"),
        ("fused, codes alone", "variant"),
    ]


@pytest.fixture
def repeated() -> pa.Table:
    levels = {"a": 0.010, "b": 0.015, "a_seed_1": 0.012, "a_seed_2": 0.017}
    metrics = {name: _metrics(name, level) for name, level in levels.items()}
    summaries = {
        name: {**_SUMMARY, "colliding_items": 10 * place, "perplexities": [place, 2.0 * place]}
        for place, name in enumerate(levels)
    }
    return build_leaderboard(
        metrics, summaries, repeats={"a": ["a", "a_seed_1", "a_seed_2"], "b": ["b"]}
    )


def test_repeats_share_a_row_of_means_and_deviations(repeated: pa.Table):
    best, mean, *_ = repeated.to_pylist()
    assert (best["model"], best["seeds"], best["ndcg@10_sd"]) == ("b", 1, None)
    values = [0.020, 0.022, 0.027]
    assert (mean["model"], mean["kind"], mean["rank"], mean["seeds"]) == ("a", "variant", 2, 3)
    assert mean["ndcg@10"] == pytest.approx(statistics.mean(values))
    assert mean["ndcg@10_sd"] == pytest.approx(statistics.stdev(values))
    assert mean["colliding_items"] == pytest.approx(statistics.mean([0, 20, 30]))
    assert mean["colliding_items_sd"] == pytest.approx(statistics.stdev([0, 20, 30]))
    assert mean["perplexities"] == pytest.approx([5 / 3, 10 / 3])
    assert mean["training_seconds"] == pytest.approx(61.4)


def test_the_runs_behind_a_mean_follow_without_a_rank(repeated: pa.Table):
    runs = repeated.to_pylist()[2:]
    assert [(run["model"], run["rank"], run["kind"]) for run in runs] == [
        ("a", None, "run"),
        ("a_seed_1", None, "run"),
        ("a_seed_2", None, "run"),
    ]
    assert runs[2]["ndcg@10"] == pytest.approx(0.027)
    lines = leaderboard_markdown(repeated).splitlines()
    assert len(lines) == 4
    assert "| **a** | 3 | 0.0140 ± 0.0036 |" in lines[3]


def test_means_are_compared_by_the_mean_of_each_user():
    tables = {
        "a": _measured("a", [1, 0, 0, 0]),
        "a_seed_1": _measured("a_seed_1", [0, 1, 0, 0]),
        "b": _measured("b", [1, 1, 1, 0]),
    }
    board = build_leaderboard(
        {name: metrics for name, (metrics, _) in tables.items()},
        {},
        ranks_by_variant={name: ranks for name, (_, ranks) in tables.items()},
        repeats={"a": ["a", "a_seed_1"]},
    )
    row = board.to_pylist()[1]
    expected = bootstrap_mean(np.array([0.5 - 1, 0.5 - 1, 0 - 1, 0]))
    assert row["model"] == "a"
    assert row["against_row_above"] == pytest.approx(expected.mean)
    assert row["against_row_above_low"] == pytest.approx(expected.low)


def test_parts_of_repeats_share_a_row_too():
    metrics = {
        name: pa.concat_tables([_metrics(name, level), _metrics(f"{name}, codes alone", level / 2)])
        for name, level in (("f", 0.02), ("f_seed_1", 0.04))
    }
    rows = build_leaderboard(metrics, {}, repeats={"f": ["f", "f_seed_1"]}).to_pylist()
    ranked = {row["model"]: row for row in rows if row["rank"]}
    assert list(ranked) == ["f", "f, codes alone"]
    assert ranked["f, codes alone"]["ndcg@10"] == pytest.approx(0.015 + 0.010)
