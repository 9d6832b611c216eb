import math
import statistics
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.evaluation.metrics import ndcg
from tiger_pipeline.evaluation.protocol import EvaluationProtocol
from tiger_pipeline.evaluation.result_tables import ranks_table
from tiger_pipeline.evaluation.study_findings import (
    KMEANS_ROWS,
    PUBLISHED_NDCG_AT_10,
    STUDY_ROWS,
    VAE_ROWS,
    Finding,
    StudyRuns,
    find,
    seed_deviation,
)

USERS = 2000
PROTOCOL = EvaluationProtocol("test", "masked", 99, USERS, "source")
IDS = np.array([f"u{user}" for user in range(USERS)], dtype=object)


def runs_of(hits: Mapping[str, int], seeds: int = 1, spread: int = 0) -> StudyRuns:
    """Runs whose first `hits[row]` users have their item first; seeds differ by `spread` hits."""
    runs: dict[str, list[str]] = {}
    values, tables = {}, []
    for row, count in hits.items():
        runs[row] = [f"{row}_{seed}" for seed in range(seeds)]
        for seed, run in enumerate(runs[row]):
            ranks = (np.arange(USERS) < count + spread * seed).astype(np.int32)
            values[run] = ndcg(ranks, 10)
            tables.append(ranks_table(run, PROTOCOL, IDS, ranks, np.zeros(USERS, dtype=bool)))
    # Perplexities in the opposite order of the hits, so that they do not predict them.
    perplexities = {run: [100.0, 1000 * (1 - value)] for run, value in values.items()}
    return StudyRuns(runs, values, perplexities, pa.concat_tables(tables))


def verdicts(findings: list[Finding]) -> list[str]:
    return [finding.verdict for finding in findings]


def as_in_the_study() -> dict[str, int]:
    return {row: round(value * 30_000) for row, value in PUBLISHED_NDCG_AT_10.items()}


def test_the_study_has_nine_rows():
    assert len(STUDY_ROWS) == 9
    assert len(KMEANS_ROWS) == len(VAE_ROWS) == 4


def test_numbers_like_the_studys_agree_where_they_should():
    hits = {**as_in_the_study(), "kmeans_random_10": 378, "kmeans_points_10": 369}
    found = verdicts(find(runs_of(hits)))
    assert found == ["agrees"] * 6


def test_the_opposite_of_the_study_differs():
    hits = {row: 1000 - count for row, count in as_in_the_study().items()}
    found = verdicts(find(runs_of(hits)))
    assert [found[0], found[1], found[5]] == ["differs"] * 3
    assert found[2] == found[3] == "differs"


def test_equal_rows_are_within_noise():
    findings = find(runs_of(dict.fromkeys(STUDY_ROWS, 300)))
    assert verdicts(findings)[:4] == ["within noise", "within noise", "agrees", "agrees"]
    assert "not defined (9 rows)" in findings[5].evidence


def test_a_difference_smaller_than_that_of_seeds_is_within_noise():
    hits = {row: 300 + 30 * (row in KMEANS_ROWS) for row in STUDY_ROWS}
    steady, shaky = (find(runs_of(hits, seeds=2, spread=spread))[0] for spread in (1, 200))
    assert steady.verdict == "agrees"
    assert shaky.verdict == "within noise"
    deviation = 200 / USERS / math.sqrt(2)
    assert f"standard error over seeds {deviation * math.sqrt(2 / 8):.4f}" in shaky.evidence
    assert "16 of 16 pairs" in shaky.evidence


def test_perplexity_that_predicts_is_reported():
    runs = runs_of(as_in_the_study())
    predicting = {run: [100.0, 1000 * value] for run, value in runs.ndcg.items()}
    finding = find(StudyRuns(runs.runs, runs.ndcg, predicting, runs.ranks))[4]
    assert finding.verdict == "differs"
    assert "ρ = +1.00" in finding.evidence


def test_pooled_deviation_is_the_root_of_the_mean_variance_of_equal_groups():
    groups = [[0.1, 0.3, 0.2], [0.5, 0.9, 0.4], [0.0, 0.0, 0.3]]
    expected = math.sqrt(statistics.mean(statistics.variance(group) for group in groups))
    assert seed_deviation(groups) == pytest.approx(expected)


def test_without_repeats_there_is_no_deviation():
    assert seed_deviation([[0.1], [0.2]]) is None
