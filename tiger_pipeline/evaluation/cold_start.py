"""Recall and NDCG as a function of ε, the largest share of cold-start items in a list."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tiger_pipeline.evaluation.cold_start_split import ColdStartSplit
from tiger_pipeline.evaluation.config import ColdStartConfig
from tiger_pipeline.evaluation.metrics import METRICS, target_ranks
from tiger_pipeline.generation.cold_share import ColdStartRecommender, WarmAndCold
from tiger_pipeline.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

TARGETS = ("all", "cold", "warm")
"""Which test targets a value is the mean of."""
METRIC_NAMES = {"hit_rate": "recall", "ndcg": "ndcg"}
"""With one target a user, the hit rate is the recall; cold-start results are published as that."""


def measure_recommenders(
    recommenders: Mapping[str, ColdStartRecommender],
    split: ColdStartSplit,
    config: ColdStartConfig,
    progress: Progress,
) -> "pa.Table":
    """Measure recommenders on the same targets, seen items masked, for every ε and cutoff.

    Args:
        recommenders: by name; fitted on `split.training`, told of the cold items.
        split: targets and histories.
        config: cutoffs and values of ε.
        progress: where to report.

    Returns:
        Columns model, targets ("all", "cold", "warm"), epsilon, k, metric ("recall", "ndcg"),
        value, users, cold_share (of the recommended items of all lists).
    """
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for name, recommender in recommenders.items():
        progress.note(f"Cold start: asking {name}.")
        found = recommender.recommend_apart(
            split.histories, max(config.cutoffs), exclude_seen=True, progress=progress
        )
        rows += [{"model": name, **row} for row in values_of(found, split, config)]
    return pa.Table.from_pylist(rows)


def values_of(
    found: WarmAndCold, split: ColdStartSplit, config: ColdStartConfig
) -> list[dict[str, Any]]:
    """The rows of one recommender's lists; see `measure_recommenders`."""
    of_kind = {
        "all": np.ones(len(split.targets), dtype=bool),
        "cold": split.is_cold_target,
        "warm": ~split.is_cold_target,
    }
    rows = []
    for epsilon in config.epsilons:
        for k in config.cutoffs:
            items = found.limited(k, epsilon).items
            ranks = target_ranks(items, split.targets)
            is_item = items >= 0
            cold_share = (items >= split.training.n_items).sum() / max(1, is_item.sum())
            for targets in TARGETS:
                chosen = ranks[of_kind[targets]]
                for metric, measure in METRICS.items():
                    rows.append(
                        {
                            "targets": targets,
                            "epsilon": float(epsilon),
                            "k": k,
                            "metric": METRIC_NAMES[metric],
                            "value": measure(chosen, k) if len(chosen) else None,
                            "users": len(chosen),
                            "cold_share": float(cold_share),
                        }
                    )
    return rows


class ColdStartValues:
    """Looks values up in a table of `measure_recommenders`."""

    def __init__(self, table: "pa.Table") -> None:
        rows = table.to_pylist()
        self.models = list(dict.fromkeys(row["model"] for row in rows))
        self.epsilons = sorted({row["epsilon"] for row in rows})
        self.cutoffs = sorted({row["k"] for row in rows})
        self.users = {row["targets"]: row["users"] for row in rows}
        self._values = {
            (row["model"], row["targets"], row["epsilon"], row["k"], row["metric"]): row["value"]
            for row in rows
        }

    def get(self, model: str, targets: str, epsilon: float, k: int, metric: str) -> float | None:
        """The value, or None where there was no such target."""
        return self._values[model, targets, epsilon, k, metric]

    def curve(self, model: str, targets: str, k: int, metric: str) -> list[float | None]:
        """Values by ε, ascending."""
        return [self.get(model, targets, epsilon, k, metric) for epsilon in self.epsilons]

    def better_at(self, model: str, other: str, k: int, metric: str) -> list[float]:
        """Values of ε at which `model` beats `other` over all targets."""
        pairs: Sequence[tuple[float | None, float | None]] = list(
            zip(
                self.curve(model, "all", k, metric),
                self.curve(other, "all", k, metric),
                strict=True,
            )
        )
        return [
            epsilon
            for epsilon, (one, two) in zip(self.epsilons, pairs, strict=True)
            if one is not None and two is not None and one > two
        ]
