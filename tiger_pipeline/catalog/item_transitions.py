"""How often one item follows another within a few steps, as a sparse matrix of numpy arrays."""

from dataclasses import dataclass

import numpy as np

from tiger_pipeline.catalog.sequences import Histories


@dataclass(frozen=True)
class ItemTransitions:
    """Weighted transitions from each item to the items that followed it.

    Attributes:
        offsets: int64[n_items + 1]; the successors of item i are at `offsets[i]:offsets[i + 1]`.
        successors: int32[nnz], item indices, ascending for an item.
        weights: float64[nnz], positive.
    """

    offsets: np.ndarray
    successors: np.ndarray
    weights: np.ndarray

    def gather(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The successors of several items, one after the other.

        Args:
            items: int[m], item indices.

        Returns:
            Sources int64[total] (positions 0…m−1 in `items`), successors int32[total] and
            weights float64[total].
        """
        counts = self.offsets[items + 1] - self.offsets[items]
        sources = np.repeat(np.arange(len(items)), counts)
        starts = np.cumsum(counts) - counts
        positions = np.arange(len(sources)) + np.repeat(self.offsets[items] - starts, counts)
        return sources, self.successors[positions], self.weights[positions]


def count_transitions(
    training: Histories, n_items: int, window: int, distance_decay: float, row_exponent: float
) -> ItemTransitions:
    """Sum `distance_decay`^(d − 1) over all pairs (item, item d steps later), d = 1…`window`.

    Each item's row is then divided by its sum to the power `row_exponent`: 1 makes it a
    probability distribution, 0 leaves counts, values between damp frequent items.

    Args:
        training: the training interactions.
        n_items: size of the catalog.
        window: longest distance in steps.
        distance_decay: weight of a step more, in (0, 1].
        row_exponent: in [0, 1].
    """
    owner = np.repeat(np.arange(len(training)), training.lengths)
    keys, weights = [np.empty(0, np.int64)], [np.empty(0)]
    for distance in range(1, window + 1):
        same_user = owner[distance:] == owner[:-distance]
        source = training.items[:-distance][same_user].astype(np.int64)
        keys.append(source * n_items + training.items[distance:][same_user])
        weights.append(np.full(len(source), distance_decay ** (distance - 1)))
    pairs, pair_of = np.unique(np.concatenate(keys), return_inverse=True)
    sums = np.bincount(pair_of, weights=np.concatenate(weights), minlength=len(pairs))
    source, successors = np.divmod(pairs, n_items)
    row_sums = np.bincount(source, weights=sums, minlength=n_items)
    offsets = np.searchsorted(source, np.arange(n_items + 1))
    return ItemTransitions(
        offsets=offsets.astype(np.int64),
        successors=successors.astype(np.int32),
        weights=sums / row_sums[source] ** row_exponent,
    )
