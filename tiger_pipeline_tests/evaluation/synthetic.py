"""Small interaction data and recommenders for the tests of this folder."""

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.evaluation.baselines.standard import standard_baselines
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.evaluation.protocol import EvaluationResult, evaluate
from tiger_pipeline.evaluation.report_inputs import ReportInputs
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations


def sequences_of(users: dict[str, list[int]], n_items: int) -> UserSequences:
    """Leave-one-out sequences from item indices; users of fewer than 3 items are train only."""
    rows = []
    for user, items in users.items():
        splits = ["train"] * len(items)
        if len(items) >= 3:
            splits[-2:] = ["valid", "test"]
        rows += [(user, f"item{i}", split) for i, split in zip(items, splits, strict=True)]
    user_ids, item_ids, splits = zip(*rows, strict=True)
    table = pa.table({"user_id": user_ids, "item_id": item_ids, "split": splits})
    return UserSequences.from_table(table, [f"item{i}" for i in range(n_items)])


def random_sequences(n_users: int, n_items: int, seed: int, longest: int = 9) -> UserSequences:
    """Users with 3…`longest` items, repetitions included."""
    generator = np.random.default_rng(seed)
    users = {
        f"user{user}": generator.integers(n_items, size=generator.integers(3, longest + 1)).tolist()
        for user in range(n_users)
    }
    return sequences_of(users, n_items)


def histories_of(*lists: list[int]) -> Histories:
    """Histories of users 0, 1, …"""
    lengths = [len(items) for items in lists]
    return Histories(
        np.arange(len(lists), dtype=np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([item for items in lists for item in items], dtype=np.int32),
    )


class FixedRecommender:
    """Recommends items 0, 1, 2, … to everybody."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        items = np.full((len(histories), top_k), NO_ITEM, dtype=np.int32)
        for row in range(len(histories)):
            seen = set(histories[row].tolist()) if exclude_seen else set()
            kept = [item for item in range(self._n_items) if item not in seen][:top_k]
            items[row, : len(kept)] = kept
        logp = np.where(items == NO_ITEM, -np.inf, -np.arange(top_k, dtype=float))
        return Recommendations(items, logp.astype(np.float32))


@cache
def _measured() -> tuple[EvaluationResult, ...]:
    sequences = random_sequences(60, 40, seed=1)
    models = {"kmeans": FixedRecommender(40), **standard_baselines(sequences, seed=0)}
    return tuple(
        evaluate(model, sequences, EvaluationConfig(), name) for name, model in models.items()
    )


def report_inputs(**changes: Any) -> ReportInputs:
    """A small but complete report of the variant `kmeans` against the standard baselines."""
    results = _measured()
    history = [
        {
            "epoch": epoch,
            "train_loss": 5.0 / epoch,
            "learning_rate": 1e-3,
            "valid_ndcg@10": 0.01 * epoch if epoch % 2 == 0 else None,
            "seconds": 1.5,
        }
        for epoch in range(1, 8)
    ]
    level = {
        "codewords": 4,
        "used": 3,
        "utilization": 0.75,
        "perplexity": 2.83,
        "reconstruction_mse": 0.5,
        "relative_reconstruction_error": 0.25,
    }
    values: dict[str, Any] = {
        "dataset": "demo",
        "variant": "kmeans",
        "metrics": pa.concat_tables([result.metrics for result in results]),
        "ranks": pa.concat_tables([result.ranks for result in results]),
        "targets_already_seen": results[0].targets_already_seen,
        "history": history,
        "best_epoch": 6,
        "parameters": 1_234_567,
        "training_seconds": 98.7,
        "seed": 3,
        "code_statistics": {
            "levels": [{"level": place, **level} for place in range(2)],
            "code_counts": [[20, 15, 5, 0], [10, 20, 0, 10]],
            "collisions": {
                "items": 40,
                "unique_tuples": 34,
                "colliding_items": 10,
                "collision_rate": 0.25,
                "largest_group": 4,
                "suffix_tokens": 4,
            },
        },
        "group_sizes": np.array([1] * 30 + [2] * 6 + [4] * 4),
        "settings": {"data": {"path": "somewhere"}, "training": {"seed": 3, "rate": 1e-3}},
        "facts": {"Seconds": {"codebooks": 4.25}, "Versions": {"torch": "2.9"}},
    }
    return ReportInputs(**(values | changes))
