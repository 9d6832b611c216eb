import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiger_pipeline.evaluation.cold_start import ColdStartValues, measure_recommenders
from tiger_pipeline.evaluation.cold_start_report import ColdStartReport, write_cold_start_report
from tiger_pipeline.evaluation.cold_start_split import ColdStartSplit, hold_out_items
from tiger_pipeline.evaluation.config import ColdStartConfig
from tiger_pipeline.generation.cold_share import WarmAndCold
from tiger_pipeline.generation.recommendations import Recommendations
from tiger_pipeline.progress import NoProgress
from tiger_pipeline_tests.evaluation.synthetic import random_sequences

SPLIT = hold_out_items(random_sequences(60, 30, seed=2), 0.3, seed=0)
CONFIG = ColdStartConfig(cutoffs=(2, 4), epsilons=(0.0, 0.5, 1.0))


class Oracle:
    """Puts each user's target first among its kind, and every cold item before the warm ones."""

    def __init__(self, split: ColdStartSplit, knows_cold: bool) -> None:
        self._split, self._knows_cold = split, knows_cold

    def recommend_apart(self, histories, top_k, exclude_seen, progress=None) -> WarmAndCold:
        n, n_warm = len(histories), self._split.training.n_items
        warm, cold = Recommendations.empty(n, top_k), Recommendations.empty(n, top_k)
        targets, is_cold = self._split.targets, self._split.is_cold_target
        others = np.arange(n_warm - top_k, n_warm)
        for row in range(n):
            ranked = [targets[row]] if not is_cold[row] else []
            ranked += [item for item in others if item not in ranked]
            warm.items[row], warm.logp[row] = ranked[:top_k], -np.arange(1, top_k + 1)
            if self._knows_cold and is_cold[row]:
                cold.items[row, 0], cold.logp[row, 0] = targets[row], 0
        return WarmAndCold(warm, cold)


TABLE = measure_recommenders(
    {"knows": Oracle(SPLIT, True), "ignores": Oracle(SPLIT, False)}, SPLIT, CONFIG, NoProgress()
)
VALUES = ColdStartValues(TABLE)


def test_cold_targets_are_hit_once_their_share_allows_it():
    assert VALUES.curve("knows", "cold", 2, "recall") == [0.0, 1.0, 1.0]
    assert VALUES.curve("ignores", "cold", 2, "ndcg") == [0.0, 0.0, 0.0]
    assert VALUES.curve("knows", "warm", 4, "ndcg") == [1.0, 1.0, 1.0]


def test_values_over_all_targets_are_the_weighted_mean():
    share = SPLIT.is_cold_target.mean()
    assert VALUES.get("ignores", "all", 1.0, 4, "recall") == pytest.approx(1 - share)
    assert VALUES.users["all"] == VALUES.users["cold"] + VALUES.users["warm"] == len(SPLIT.targets)


def test_the_share_of_cold_items_in_the_lists_is_kept():
    shares = {(row["model"], row["epsilon"]): row["cold_share"] for row in TABLE.to_pylist()}
    assert shares["knows", 0.0] == shares["ignores", 1.0] == 0
    assert 0 < shares["knows", 1.0] <= 0.25


def test_who_beats_whom_where():
    assert VALUES.better_at("knows", "ignores", 2, "recall") == [0.5, 1.0]
    assert VALUES.better_at("ignores", "knows", 2, "recall") == []


def report() -> ColdStartReport:
    facts = {"held_out_items": 9, "test_items": 30, "items": 30, "seed": 0, "knn_recent_items": 3}
    return ColdStartReport("shop, plain", TABLE, "knows", "ignores", facts)


def test_the_report_is_complete(tmp_path: Path):
    markdown, _ = write_cold_start_report(tmp_path, report())
    assert "- Recall@2: 0.5, 1" in markdown
    assert (tmp_path / "cold_start.png").read_bytes().startswith(b"\x89PNG")
    assert "(cold_start.png)" in (tmp_path / "report.md").read_text()
    assert pq.read_table(tmp_path / "metrics.parquet").equals(TABLE)
    contents = json.loads((tmp_path / "metrics.json").read_text())
    assert contents["generator_beats_knn_at_epsilon"]["recall@2"] == [0.5, 1.0]


def test_a_report_without_cold_targets_shows_dashes(tmp_path: Path):
    rows = [row | {"value": None} if row["targets"] == "cold" else row for row in TABLE.to_pylist()]
    plain = report()
    empty = ColdStartReport(
        plain.title, pa.Table.from_pylist(rows), plain.generator, plain.knn, plain.facts
    )
    markdown, _ = write_cold_start_report(tmp_path, empty)
    assert "| knows | 0 | – | – | – | – |" in markdown


@pytest.mark.parametrize("values", [{"cutoffs": (0, 5)}, {"epsilons": (0.5, 1.5)}])
def test_settings_out_of_range_are_refused(values: dict):
    with pytest.raises(ValueError, match="must be"):
        ColdStartConfig(**values)
