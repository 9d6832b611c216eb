"""The evaluation protocol, and measuring a recommender under it.

Published numbers differ by protocol more than by method, so a value here never travels without
its own: how targets were chosen, whether items already seen may be recommended, among which
candidates, and how interactions at the same time were ordered.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from tiger_pipeline.catalog.config import LeaveOneOutConfig, SplitConfig
from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.errors import ArtifactMismatchError, InputError
from tiger_pipeline.evaluation.config import EvaluationConfig
from tiger_pipeline.evaluation.metrics import METRICS, NOT_RECOMMENDED, target_ranks
from tiger_pipeline.evaluation.result_tables import (
    EVERY_CANDIDATE,
    PROTOCOL_COLUMNS,
    metrics_table,
    ranks_table,
)
from tiger_pipeline.evaluation.sampled_pool import draw_negatives, pool_ranks
from tiger_pipeline.evaluation.seen_items import lists_seen, pairs_seen
from tiger_pipeline.generation.recommendations import Recommender
from tiger_pipeline.progress import NoProgress, Progress

if TYPE_CHECKING:
    import pyarrow as pa

Split = Literal["valid", "test"]
Seen = Literal["masked", "kept"]

_LEAVE_ONE_OUT = LeaveOneOutConfig()
_REHEARSAL = LeaveOneOutConfig(rehearsal=True)
SEEN: tuple[Seen, ...] = ("masked", "kept")
"""Items already in the history: never recommended, or candidates like all others."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """What one value was measured on. A hit is always the target item itself.

    Attributes:
        split: whose targets.
        seen: whether items of the user's own history may be recommended.
        candidates: number of items that are ranked (with `seen` masked, minus the history).
        users: number of targets, one a user.
        tie_break: order of a user's interactions at the same time (`TieConfig.ties`).
        holdout: how targets were chosen (`LeaveOneOutConfig.holdout`, `GlobalTimeConfig.holdout`).
        ranking: what targets were ranked among (`EvaluationConfig.ranking`).
    """

    split: Split
    seen: Seen
    candidates: int
    users: int
    tie_break: str
    holdout: str = "leave_one_out"
    ranking: str = "full"

    @classmethod
    def of(cls, metrics: "pa.Table", split: str, seen: str) -> "EvaluationProtocol":
        """The one protocol under which a long metrics table's values for `split` were measured.

        Raises:
            ArtifactMismatchError: there is no such value, or models were measured differently.
        """
        columns = metrics.select(["model", *PROTOCOL_COLUMNS]).to_pylist()
        models = {
            tuple(row[name] for name in PROTOCOL_COLUMNS): row["model"]
            for row in columns
            if (row["split"], row["seen"]) == (split, seen)
        }
        if not models:
            raise ArtifactMismatchError(
                f"The metrics hold no {split} values with seen items {seen}. Put {split!r} into "
                "`evaluation.splits` and materialize `metrics` again."
            )
        if len(models) > 1:
            (one, one_model), (other, other_model) = list(models.items())[:2]
            named = zip(PROTOCOL_COLUMNS, one, other, strict=True)
            name, first, second = next(entry for entry in named if entry[1] != entry[2])
            raise ArtifactMismatchError(
                f"{one_model!r} and {other_model!r} were not measured alike: {name} is {first!r} "
                f"for one and {second!r} for the other. Materialize `metrics` of both again."
            )
        return cls(**dict(zip(PROTOCOL_COLUMNS, next(iter(models)), strict=True)))

    def in_parts(self) -> dict[str, str]:
        """The protocol as titled sentences."""
        seen = {
            "masked": "masked: items in the user's own history are not recommended",
            "kept": "kept: items in the user's own history stay candidates",
        }[self.seen]
        return {
            "Targets": f"{self.split}: {self._targets()}",
            "Seen items": f"{seen}.",
            "Candidates": self._candidates(),
            "Hits": "the target item itself; another item with the same codes is a miss.",
            "Interactions at the same time": f"{self.tie_break} order.",
        }

    def _targets(self) -> str:
        rehearsal = self.holdout == _REHEARSAL.holdout
        if rehearsal or self.holdout == _LEAVE_ONE_OUT.holdout:
            target, history = {
                "valid": ("last interaction but one", "the interactions before it"),
                "test": ("last interaction", "all before it, the validation target included"),
            }[self.split]
            before = ", after the real test targets were left out: a rehearsal" * rehearsal
            return (
                f"the {target} of each of {self.users:,} users; the history is {history} "
                f"(leave-one-out{before})."
            )
        period, history = {
            "valid": ("validation", "the user's training interactions"),
            "test": ("test", "all that the user did before the period"),
        }[self.split]
        return (
            f"what each of {self.users:,} users did first in the {period} period; the history is "
            f"{history}. Nothing from the validation period on was trained on: {self.holdout}."
        )

    def _candidates(self) -> str:
        if self.ranking == "full":
            return f"all {self.candidates:,} items of the catalog, without sampling."
        return (
            f"the target and {self.candidates - 1:,} items that the user never interacted with, "
            f"{self.ranking}: not comparable with full ranking (Krichene & Rendle 2020)."
        )

    def in_words(self) -> str:
        """The protocol in one paragraph."""
        return " ".join(f"{title}: {sentence}" for title, sentence in self.in_parts().items())


@dataclass(frozen=True)
class EvaluationResult:
    """What `evaluate` measured.

    Attributes:
        metrics: one row a value; columns of `result_tables.metrics_table`.
        ranks: one row a user and protocol; columns of `result_tables.ranks_table`. Rank 0: not
            among the first `cutoffs[-1]`.
        targets_already_seen: by split, the targets that are in the user's own history; they
            cannot be hit with seen items masked.
        untrained_targets: by split, the targets whose item has no training interaction, so that
            only its text can lead to it.
        seconds: time spent in the recommender, by "<split>, seen <masked|kept>".
    """

    metrics: "pa.Table"
    ranks: "pa.Table"
    targets_already_seen: dict[str, int]
    untrained_targets: dict[str, int]
    seconds: dict[str, float] = field(compare=False)


def evaluate(
    recommender: Recommender,
    sequences: UserSequences,
    config: EvaluationConfig,
    name: str,
    data_split: SplitConfig = _LEAVE_ONE_OUT,
    progress: Progress = NoProgress(),  # noqa: B008 (stateless)
) -> EvaluationResult:
    """Measure a recommender on every split of `config`, with seen items masked and kept.

    Args:
        recommender: fitted on the training interactions only.
        sequences: of all users.
        config: cutoffs, splits, candidates and the number of users in a batch.
        name: of the recommender, for the column `model`.
        data_split: how the catalog chose targets and ordered interactions at the same time.
        progress: one task for all splits.

    Raises:
        InputError: a split has no targets, or a target has no history before it.
        ConfigurationError: a sampled pool is larger than what a user leaves to draw from, or the
            recommender cannot rank one.
    """
    import pyarrow as pa

    targets = {split: _targets(sequences, split) for split in config.splits}
    search = getattr(recommender, "search", EVERY_CANDIDATE)
    trained = np.zeros(sequences.n_items, dtype=bool)
    trained[sequences.training().items] = True
    metrics: list[pa.Table] = []
    ranks: list[pa.Table] = []
    already_seen: dict[str, int] = {}
    untrained: dict[str, int] = {}
    seconds: dict[str, float] = {}
    total = len(SEEN) * sum(len(items) for _, items in targets.values())
    with progress.task(f"Evaluating {name}", total, unit="users") as task:
        for split, (histories, items) in targets.items():
            target_seen = pairs_seen(histories, np.arange(len(items)), items)
            already_seen[split] = int(target_seen.sum())
            untrained[split] = int((~trained[items]).sum())
            rank = _ranker(recommender, sequences, histories, items, config, task.advance)
            for seen in SEEN:
                protocol = EvaluationProtocol(
                    split=split,
                    seen=seen,
                    candidates=1 + (config.sampled_negatives or sequences.n_items - 1),
                    users=len(items),
                    tie_break=data_split.ties,
                    holdout=data_split.holdout,
                    ranking=config.ranking,
                )
                started = time.monotonic()
                user_ranks = rank(seen == "masked")
                seconds[f"{split}, seen {seen}"] = time.monotonic() - started
                values = _values(user_ranks, config.cutoffs)
                metrics.append(metrics_table(name, protocol, values, search))
                user_ids = sequences.user_ids[histories.users]
                ranks.append(ranks_table(name, protocol, user_ids, user_ranks, target_seen))
    return EvaluationResult(
        pa.concat_tables(metrics), pa.concat_tables(ranks), already_seen, untrained, seconds
    )


def _ranker(
    recommender: Recommender,
    sequences: UserSequences,
    histories: Histories,
    targets: np.ndarray,
    config: EvaluationConfig,
    advance: Callable[[int], None],
) -> Callable[[bool], np.ndarray]:
    """A function from whether seen items are excluded to the targets' ranks int32[n]."""
    if config.sampled_negatives is None:
        return lambda exclude_seen: _rank_targets(
            recommender, histories, targets, config, exclude_seen, advance
        )
    negatives = draw_negatives(
        sequences, histories.users, config.sampled_negatives, config.sampling_seed
    )
    target_seen = pairs_seen(histories, np.arange(len(targets)), targets)

    def ranks(exclude_seen: bool) -> np.ndarray:
        # No negative is in the history: only the target can be excluded.
        found = pool_ranks(
            recommender,
            histories,
            targets,
            negatives,
            config.cutoffs[-1],
            config.users_per_batch,
            advance,
        )
        return np.where(exclude_seen & target_seen, NOT_RECOMMENDED, found).astype(np.int32)

    return ranks


def make_validator(
    sequences: UserSequences, config: EvaluationConfig, n_users: int, seed: int
) -> Callable[[Recommender], dict[str, float]]:
    """A quick measure of a recommender during its training, seen items masked.

    Args:
        sequences: of all users.
        config: the number of users in a batch.
        n_users: users in the sample; all of them if there are fewer.
        seed: of the sample, which is the same in every call of the validator.

    Returns:
        A function from a recommender to {"hit_rate@10", "ndcg@10"} on the sampled users'
        validation targets.

    Raises:
        InputError: no user has a validation target, or a target has no history before it.
    """
    histories, targets = validation_sample(sequences, n_users, seed)
    config = config.model_copy(update={"cutoffs": (10,)})

    def validate(recommender: Recommender) -> dict[str, float]:
        ranks = _rank_targets(recommender, histories, targets, config, exclude_seen=True)
        return {f"{metric}@10": measure(ranks, 10) for metric, measure in METRICS.items()}

    return validate


def validation_sample(
    sequences: UserSequences, n_users: int, seed: int
) -> tuple[Histories, np.ndarray]:
    """Some users' validation targets, and the histories before them.

    Args:
        sequences: of all users.
        n_users: users in the sample; all of them if there are fewer.
        seed: of the sample.

    Returns:
        Histories of m users, training interactions only, and targets int32[m].

    Raises:
        InputError: no user has a validation target, or a target has no history before it.
    """
    histories, targets = _targets(sequences, "valid")
    sample = np.random.default_rng(seed).permutation(len(targets))[:n_users]
    sample.sort()
    return histories.select(sample), targets[sample]


def _targets(sequences: UserSequences, split: str) -> tuple[Histories, np.ndarray]:
    histories, targets = sequences.evaluation(split)
    if not len(targets):
        raise InputError(
            f"No user has a {split} interaction, so there is nothing to evaluate. "
            "Lower `data.split.min_history` or the k-core of `data.filter`, or leave the split "
            "out of `evaluation.splits`."
        )
    empty = histories.lengths == 0
    if empty.any():
        user = sequences.user_ids[histories.users[np.argmax(empty)]]
        raise InputError(
            f"User {user!r} has a {split} interaction but none before it ({int(empty.sum())} such "
            "users): there is no history to recommend from. Users with fewer than 3 interactions "
            "belong wholly in the training split; correct the split and materialize "
            "`interactions` again."
        )
    return histories, targets


def _rank_targets(
    recommender: Recommender,
    histories: Histories,
    targets: np.ndarray,
    config: EvaluationConfig,
    exclude_seen: bool,
    advance: Callable[[int], None] = lambda users: None,
) -> np.ndarray:
    """int32[n], the targets' ranks in lists as long as the largest cutoff, batch by batch."""
    top_k = config.cutoffs[-1]
    ranks = np.zeros(len(targets), dtype=np.int32)
    for start in range(0, len(targets), config.users_per_batch):
        rows = np.arange(start, min(start + config.users_per_batch, len(targets)))
        batch = histories.select(rows)
        items = recommender.recommend(batch, top_k, exclude_seen).items
        _check_lists(recommender, batch, items, top_k, exclude_seen)
        ranks[rows] = target_ranks(items, targets[rows])
        advance(len(rows))
    return ranks


def _check_lists(
    recommender: Recommender, histories: Histories, items: np.ndarray, top_k: int, unseen: bool
) -> None:
    """Refuse lists that would make the numbers wrong: they are a defect of the recommender."""
    problem = None
    if items.shape != (len(histories), top_k):
        problem = f"lists of shape {items.shape} instead of {(len(histories), top_k)}"
    elif unseen and lists_seen(histories, items).any():
        problem = "items that the user has already seen, though they were excluded"
    else:
        ordered = np.sort(items, axis=1)
        if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
            problem = "the same item twice to one user"
    if problem:
        raise ValueError(f"{type(recommender).__name__} recommended {problem}.")


def _values(ranks: np.ndarray, cutoffs: Sequence[int]) -> list[tuple[str, int, float]]:
    return [(metric, k, measure(ranks, k)) for metric, measure in METRICS.items() for k in cutoffs]
