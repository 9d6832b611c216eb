"""The long tables in which evaluation results are kept, and looking values up in them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from tiger_pipeline.evaluation.protocol import EvaluationProtocol

PROTOCOL_COLUMNS = ("split", "seen", "users", "candidates", "ranking", "holdout", "tie_break")
SPLIT_TITLES = {"valid": "Validation", "test": "Test"}


EVERY_CANDIDATE = "every candidate"
"""The search of a recommender that scores all candidates, so that none is missed."""


def codes_alone_row(variant: str) -> str:
    """Name of the row that measures a variant's generator without its dense head and priors."""
    return f"{variant}, codes alone"


def variant_of(model: str) -> str:
    """The variant whose row `model` is: its own, or that of one part of it.

    >>> variant_of("item_decoder"), variant_of(codes_alone_row("item_decoder"))
    ('item_decoder', 'item_decoder')
    """
    return model.partition(", ")[0]


def row_of(variant: str, model: str) -> str:
    """The row that is to `variant` what `model` is to its own variant.

    >>> row_of("item_decoder", codes_alone_row("item_decoder_seed_1"))
    'item_decoder, codes alone'
    """
    return variant + model.removeprefix(variant_of(model))


def metrics_table(
    model: str,
    protocol: "EvaluationProtocol",
    values: Iterable[tuple[str, int, float]],
    search: str = EVERY_CANDIDATE,
) -> "pa.Table":
    """One row a value, with the protocol it was measured under.

    Args:
        model: name of the recommender.
        protocol: shared by all values.
        values: (metric, k, value).
        search: how the recommender finds its items among the candidates. A property of the
            recommender, not of the protocol: models that search differently can be compared.

    Returns:
        Columns model, split, seen, metric, k, value, users, candidates, ranking, holdout,
        tie_break, search.
    """
    import pyarrow as pa

    metrics, cutoffs, numbers = zip(*values, strict=True)
    n = len(numbers)
    return pa.table(
        {
            "model": [model] * n,
            "split": [protocol.split] * n,
            "seen": [protocol.seen] * n,
            "metric": list(metrics),
            "k": pa.array(cutoffs, pa.int32()),
            "value": pa.array(numbers, pa.float64()),
            "users": pa.array([protocol.users] * n, pa.int64()),
            "candidates": pa.array([protocol.candidates] * n, pa.int64()),
            "ranking": [protocol.ranking] * n,
            "holdout": [protocol.holdout] * n,
            "tie_break": [protocol.tie_break] * n,
            "search": [search] * n,
        }
    )


def ranks_table(
    model: str,
    protocol: "EvaluationProtocol",
    user_ids: np.ndarray,
    ranks: np.ndarray,
    target_seen: np.ndarray,
) -> "pa.Table":
    """One row a user: what a paired comparison of two recommenders needs.

    Args:
        model: name of the recommender.
        protocol: shared by all users.
        user_ids: object[n].
        ranks: int32[n] of `metrics.target_ranks`.
        target_seen: bool[n], whether the target is in the user's own history.

    Returns:
        Columns model, split, seen, user_id, rank, target_seen.
    """
    import pyarrow as pa

    n = len(ranks)
    return pa.table(
        {
            "model": [model] * n,
            "split": [protocol.split] * n,
            "seen": [protocol.seen] * n,
            "user_id": [str(user) for user in user_ids],
            "rank": pa.array(ranks, pa.int32()),
            "target_seen": pa.array(target_seen, pa.bool_()),
        }
    )


class MetricValues:
    """Values of a long metrics table by (model, split, seen, metric, k).

    Attributes:
        models: names, in the order of the table.
        splits: in the order of the table.
        cutoffs: ascending.
        searches: how each model finds its items.

    Args:
        metrics: a table of `metrics_table`, or several put together.
    """

    def __init__(self, metrics: "pa.Table") -> None:
        columns = ["model", "split", "seen", "metric", "k", "value", "users", "search"]
        rows = metrics.select(columns).to_pylist()
        self._values = {
            (row["model"], row["split"], row["seen"], row["metric"], row["k"]): row["value"]
            for row in rows
        }
        self.models = list(dict.fromkeys(row["model"] for row in rows))
        self.splits = list(dict.fromkeys(row["split"] for row in rows))
        self.cutoffs = sorted({row["k"] for row in rows})
        self.searches = {row["model"]: row["search"] for row in rows}
        self._users = {row["split"]: row["users"] for row in rows}
        self._measured = {(row["model"], row["split"]) for row in rows}

    def get(self, model: str, split: str, seen: str, metric: str, k: int) -> float | None:
        """The value, or None where it was not measured."""
        return self._values.get((model, split, seen, metric, k))

    def users(self, split: str) -> int:
        """Number of targets of a split."""
        return self._users[split]

    def models_on(self, split: str) -> list[str]:
        """The models that were measured on a split, in the order of the table."""
        return [model for model in self.models if (model, split) in self._measured]

    def headline_split(self, model: str | None = None) -> str:
        """The split that is reported first: test where it was measured.

        Args:
            model: the one whose measurements count; None: those of all.
        """
        splits = [s for s in self.splits if model is None or (model, s) in self._measured]
        return "test" if "test" in splits else splits[-1]

    @property
    def headline_cutoff(self) -> int:
        """The cutoff that is reported first: 10 where it was measured, else the largest."""
        return 10 if 10 in self.cutoffs else self.cutoffs[-1]
