"""Interactions as parallel arrays of indices, the form in which the catalog is filtered."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InteractionRows:
    """Interactions, one a row.

    Attributes:
        users: int64[n], index of the user in the order of first appearance in the source.
        items: int64[n], index of the item in the source's item table.
        timestamps: number[n], unix seconds, or None.
        ratings: float64[n], NaN where not known, or None.
        splits: int8[n], index into `SPLITS`, or None before the split.
    """

    users: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray | None = None
    ratings: np.ndarray | None = None
    splits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.users)

    def select(self, rows: np.ndarray) -> "InteractionRows":
        """The rows of a mask (bool[n]) or of indices (int[m])."""

        def taken(column: np.ndarray | None) -> np.ndarray | None:
            return None if column is None else column[rows]

        return InteractionRows(
            self.users[rows],
            self.items[rows],
            taken(self.timestamps),
            taken(self.ratings),
            taken(self.splits),
        )

    @property
    def n_users(self) -> int:
        """Number of different users."""
        return len(np.unique(self.users))

    @property
    def n_items(self) -> int:
        """Number of different items."""
        return len(np.unique(self.items))
