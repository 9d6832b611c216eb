"""What a metric report shows, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

SUMMARY_FIELDS = (
    "parameters",
    "training_seconds",
    "perplexities",
    "colliding_items",
    "suffix_tokens",
    "best_epoch",
    "seed",
)


@dataclass(frozen=True)
class ReportInputs:
    """All that a report shows, as plain data; what is unknown is left out and shown as a dash.

    Attributes:
        dataset: partition key.
        variant: partition key, and the name of the variant's rows in `metrics`.
        metrics: long table (`result_tables.metrics_table`) of the variant and the baselines.
        ranks: long table (`result_tables.ranks_table`) of the same.
        targets_already_seen: by split, targets that are in the user's own history.
        untrained_targets: by split, targets whose item has no training interaction.
        history: an epoch a row: `epoch`, `train_loss`, `learning_rate`, `valid_ndcg@10` (None in
            epochs without a validation), `seconds`.
        best_epoch: the epoch whose weights were evaluated.
        parameters: trained parameters of the generator.
        training_seconds: of the generator.
        seed: of the generator's training.
        code_statistics: `levels` (a mapping each with `level`, `codewords`, `used`,
            `utilization`, `perplexity`, `reconstruction_mse`, `relative_reconstruction_error`),
            `code_counts` (items of each codeword, a list a level), `collisions` (`items`,
            `unique_tuples`, `colliding_items`, `collision_rate`, `largest_group`,
            `suffix_tokens`).
        group_sizes: int[n_items], how many items share each item's codes
            (`semantic_ids.collisions.group_sizes`).
        settings: the resolved configuration.
        facts: titled groups of anything else: {"Seconds": {...}, "Versions": {...}}.
    """

    dataset: str
    variant: str
    metrics: "pa.Table"
    ranks: "pa.Table"
    targets_already_seen: Mapping[str, int] = field(default_factory=dict)
    untrained_targets: Mapping[str, int] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    best_epoch: int | None = None
    parameters: int | None = None
    training_seconds: float | None = None
    seed: int | None = None
    code_statistics: Mapping[str, Any] = field(default_factory=dict)
    group_sizes: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """What the leaderboard shows beside the metrics; keys are `SUMMARY_FIELDS`."""
        levels = self.code_statistics.get("levels", [])
        collisions = self.code_statistics.get("collisions", {})
        return {
            "parameters": self.parameters,
            "training_seconds": self.training_seconds,
            "perplexities": [level.get("perplexity") for level in levels],
            "colliding_items": collisions.get("colliding_items"),
            "suffix_tokens": collisions.get("suffix_tokens"),
            "best_epoch": self.best_epoch,
            "seed": self.seed,
        }
