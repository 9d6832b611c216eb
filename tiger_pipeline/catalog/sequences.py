"""Users' histories as flat integer arrays: how models and metrics see the interactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = ("train", "valid", "valid_rest", "test", "test_rest")
"""In the order of time: a user's splits never go back.

The rests, which only a global time split has, are what a user did after a target and in the same
period: those of "valid" are part of the history of the test target, but nothing is trained on them.
"""

SOURCE_SPLITS = ("train", "valid", "test")
"""Those that a source may come with."""


@dataclass(frozen=True)
class Histories:
    """Ordered item sequences of some users, flat.

    Attributes:
        users: int32[n], index of the user in the dataset.
        offsets: int64[n + 1]; sequence i is `items[offsets[i]:offsets[i + 1]]`, oldest first.
        items: int32[total], item indices 0…n_items−1.
    """

    users: np.ndarray
    offsets: np.ndarray
    items: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.items[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """int64[n], items of each sequence."""
        return np.diff(self.offsets)

    def select(self, rows: np.ndarray) -> "Histories":
        """The sequences at `rows` (int[m]), in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        positions = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Histories(self.users[rows], offsets, self.items[positions])

    def only(self, keep: np.ndarray) -> "Histories":
        """The same sequences with no more than the interactions where `keep` (bool[total])."""
        offsets = np.concatenate([[0], np.cumsum(keep)])[self.offsets].astype(np.int64)
        return Histories(self.users, offsets, self.items[keep])


@dataclass(frozen=True)
class UserSequences:
    """Every user's interactions in order, with the split of each.

    Attributes:
        user_ids: object[n_users], the source's ids, in the order of the interactions table.
        item_ids: object[n_items], the catalog's order: index i stands for `item_ids[i]`.
        offsets: int64[n_users + 1] into `items` and `splits`.
        items: int32[n_interactions].
        splits: int8[n_interactions], index into `SPLITS`; ascending for a user.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    offsets: np.ndarray
    items: np.ndarray
    splits: np.ndarray

    @classmethod
    def from_table(cls, interactions: "pa.Table", item_ids: Sequence[str]) -> "UserSequences":
        """Read the `interactions` artifact (rows grouped by user, oldest first).

        Raises:
            InputError: an interaction's item is not among `item_ids`.
        """
        import pandas as pd

        user_column = interactions["user_id"].to_pandas()
        item_column = interactions["item_id"].to_pandas()
        items = pd.Index(item_ids).get_indexer(item_column)
        if (items < 0).any():
            row = int(np.argmax(items < 0))
            raise InputError(
                f"Row {row} of the interactions (user {user_column.iloc[row]!r}) names item "
                f"{item_column.iloc[row]!r}, which has no semantic ID. Materialize the assets "
                "from `items` on again, so that both come from the same catalog."
            )
        user_codes, user_ids = pd.factorize(user_column)
        if (np.diff(user_codes) < 0).any():
            raise InputError("The interactions are not grouped by user. Materialize them again.")
        counts = np.bincount(user_codes, minlength=len(user_ids))
        splits = pd.Index(SPLITS).get_indexer(interactions["split"].to_pandas())
        return cls(
            user_ids=np.asarray(user_ids, dtype=object),
            item_ids=np.asarray(item_ids, dtype=object),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=items.astype(np.int32),
            splits=splits.astype(np.int8),
        )

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of items, with or without interactions."""
        return len(self.item_ids)

    def _where(self, keep: np.ndarray) -> Histories:
        owner = np.repeat(np.arange(self.n_users), np.diff(self.offsets))
        counts = np.bincount(owner[keep], minlength=self.n_users)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Histories(np.arange(self.n_users, dtype=np.int32), offsets, self.items[keep])

    def training(self) -> Histories:
        """Only the interactions of the training split: all that a model may be fitted on."""
        return self._where(self.splits == SPLITS.index("train"))

    def complete(self) -> Histories:
        """All interactions: the history from which the next item is recommended in service."""
        return self._where(np.ones(len(self.items), dtype=bool))

    def evaluation(self, split: str) -> tuple[Histories, np.ndarray]:
        """Histories and targets of `split` ("valid" or "test").

        The history of a target holds everything before it: training items for "valid"; for
        "test" also the validation target and, in a global time split, what came after that.

        Returns:
            Histories of the users that have a target, and targets int32[n], item indices.
        """
        wanted = SPLITS.index(split)
        is_target = self.splits == wanted
        owner = np.repeat(np.arange(self.n_users), np.diff(self.offsets))
        users = owner[is_target]
        histories = self._where(self.splits < wanted).select(users)
        return histories, self.items[is_target]
