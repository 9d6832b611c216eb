"""The baselines on real data, where it is present: Amazon 2014 Beauty, 5-core, leave-one-out."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from tiger_pipeline.catalog.sequences import SPLITS, UserSequences
from tiger_pipeline.evaluation.baselines.standard import standard_baselines
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.evaluation.metrics import hit_rate, ndcg, target_ranks
from tiger_pipeline_tests.evaluation.synthetic import random_sequences

_REAL_DATA = Path(os.environ.get("TIGER_REAL_DATA", Path(__file__).parents[4] / "shared" / "data"))
_BEAUTY = _REAL_DATA / "amazon2014_beauty" / "interactions.tsv"


@pytest.fixture(scope="module")
def beauty() -> UserSequences:
    if not _BEAUTY.is_file():
        pytest.skip(f"{_BEAUTY} is not there")
    with open(_BEAUTY, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows.sort(key=lambda row: (row["user_id"], int(row["order"])))
    user_ids, users = np.unique([row["user_id"] for row in rows], return_inverse=True)
    item_ids, items = np.unique([row["item_id"] for row in rows], return_inverse=True)
    counts = np.bincount(users)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    splits = np.full(len(rows), SPLITS.index("train"), dtype=np.int8)
    splits[offsets[1:] - 2] = SPLITS.index("valid")
    splits[offsets[1:] - 1] = SPLITS.index("test")
    return UserSequences(
        user_ids.astype(object), item_ids.astype(object), offsets, items.astype(np.int32), splits
    )


def _test_ranks(beauty: UserSequences, baseline: str) -> np.ndarray:
    histories, targets = beauty.evaluation("test")
    recommender = standard_baselines(beauty, seed=0)[baseline]
    size = EvaluationConfig().users_per_batch
    batches = [
        np.arange(start, min(start + size, len(targets))) for start in range(0, len(targets), size)
    ]
    return np.concatenate(
        [
            target_ranks(recommender.recommend(histories.select(b), 10, True).items, targets[b])
            for b in batches
        ]
    )


def test_popularity_on_beauty_is_what_others_measured(beauty):
    ranks = _test_ranks(beauty, "popularity")
    assert len(ranks) == 22_363
    assert ndcg(ranks, 10) == pytest.approx(0.0055, abs=0.0001)
    assert hit_rate(ranks, 10) == pytest.approx(0.0115, abs=0.0001)


def test_item_transition_knn_on_beauty_is_what_others_measured(beauty):
    ranks = _test_ranks(beauty, "item_transition_knn")
    assert ndcg(ranks, 10) == pytest.approx(0.0539, abs=0.0003)


def test_no_baseline_is_named_like_a_variant_of_the_study():
    # "random" is the variant with random codes: the random ranking needs a name of its own.
    assert set(standard_baselines(random_sequences(5, 9, seed=0), seed=0)) == {
        "popularity",
        "random_ranking",
        "item_transition_knn",
    }
