"""Recommendation lists of many users as one parquet file, written as they are made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.errors import InputError
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations
from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.atomic import atomic_file
from tiger_pipeline.storage.tables import with_metadata
from tiger_pipeline.workflows.item_filter import read_lines
from tiger_pipeline.workflows.serving import LoadedRecommender
from tiger_pipeline.workflows.suggestions import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

_USERS_AT_ONCE = 8192


@dataclass(frozen=True)
class ListSettings:
    """What lists are wanted.

    Attributes:
        top_k: items of a list.
        epsilon: largest share of cold-start items.
        users: ids of the users; none: all users.
        users_file: a text file with further user ids, one a line.
    """

    top_k: int
    epsilon: float
    users: Sequence[str] = ()
    users_file: Path | None = None


@dataclass(frozen=True)
class WrittenLists:
    """What was written.

    Attributes:
        users: lists.
        rows: recommended items.
        cold_rows: of these, cold-start items.
        preview: the first few rows, as in the file.
    """

    users: int
    rows: int
    cold_rows: int
    preview: list[dict[str, Any]]


def write_recommendations(
    path: Path,
    recommender: LoadedRecommender,
    sequences: UserSequences,
    wanted: ListSettings,
    progress: Progress,
) -> WrittenLists:
    """Recommend to each user what comes after all of their interactions; no item that they had.

    Columns user_id string, rank int32 (from 1), item_id string, score float32 (log-probability of
    the item's semantic ID, or the fused score), is_cold_start bool. Memory holds the lists of a
    few thousand users at a time; the file appears whole or not at all.

    Args:
        path: of the parquet file.
        recommender: of the dataset and variant.
        sequences: of all users, over the recommender's items.
        wanted: which lists.
        progress: where to report.

    Raises:
        InputError: a wanted user is unknown, or the file of users is not readable.
        ConfigurationError: more items than the search is wide, or ε is not within 0…1.
        ArtifactError: the file could not be written.
    """
    import pyarrow.parquet as pq

    rows = rows_of_users(sequences, wanted)
    written = cold = 0
    preview: list[dict[str, Any]] = []
    with (
        atomic_file(path) as scratch,
        progress.task("Recommending", len(rows), "users") as task,
    ):
        writer = None
        for users, table in _tables(recommender, sequences, rows, wanted):
            writer = writer or pq.ParquetWriter(scratch, table.schema, compression="zstd")
            writer.write_table(table)
            written += len(table)
            cold += int(np.count_nonzero(table["is_cold_start"].to_numpy()))
            preview = preview or table.slice(0, 2 * wanted.top_k).to_pylist()
            task.advance(users)
        if writer is not None:
            writer.close()
    return WrittenLists(len(rows), written, cold, preview)


def _tables(
    recommender: LoadedRecommender,
    sequences: UserSequences,
    rows: np.ndarray,
    wanted: ListSettings,
) -> Iterator[tuple[int, "pa.Table"]]:
    """Users and their rows, some thousand users at a time."""
    histories = sequences.complete()
    for start in range(0, len(rows), _USERS_AT_ONCE):
        some = rows[start : start + _USERS_AT_ONCE]
        found = recommender.rank(histories.select(some), wanted.top_k, wanted.epsilon)
        table = _table(found, sequences.user_ids[some], recommender)
        metadata = {"top_k": wanted.top_k, "epsilon": wanted.epsilon}
        yield len(some), with_metadata(table, metadata)


def _table(
    found: Recommendations, user_ids: np.ndarray, recommender: LoadedRecommender
) -> "pa.Table":
    import pyarrow as pa

    ids = recommender.catalog.semantic_ids
    is_item = found.items != NO_ITEM
    users, ranks = np.nonzero(is_item)
    items = found.items[is_item]
    return pa.table(
        {
            "user_id": pa.array(user_ids[users], pa.string()),
            "rank": pa.array(ranks + 1, pa.int32()),
            "item_id": pa.array(ids.item_ids[items], pa.string()),
            "score": pa.array(found.logp[is_item], pa.float32()),
            "is_cold_start": pa.array(ids.is_cold[items], pa.bool_()),
        }
    )


def rows_of_users(sequences: UserSequences, wanted: ListSettings) -> np.ndarray:
    """int64[n], the wanted users' rows in `sequences`, in the order in which they were named.

    Raises:
        InputError: a user is unknown, or the file is not readable.
    """
    origin = dict.fromkeys(wanted.users, "the list of users")
    if wanted.users_file is not None:
        for user, line in read_lines(wanted.users_file).items():
            origin.setdefault(user, f"line {line} of {wanted.users_file}")
    if not origin:
        return np.arange(sequences.n_users)
    rows = {user: row for row, user in enumerate(sequences.user_ids)}
    for user, place in origin.items():
        if user not in rows:
            raise InputError(
                f"User {user!r} ({place}) has no interactions, so there is no history to "
                f"recommend from.{did_you_mean(user, rows)}"
            )
    return np.array([rows[user] for user in origin], dtype=np.int64)
