"""The cold-start protocol of TIGER (arXiv:2305.05065, §4.3): items held out of all training."""

from dataclasses import dataclass

import numpy as np

from tiger_pipeline.catalog.sequences import SPLITS, Histories, UserSequences
from tiger_pipeline.errors import InputError


@dataclass(frozen=True)
class ColdStartSplit:
    """A catalog in which some items are new: nobody has interacted with them before the test.

    Attributes:
        training: interactions with the warm items, over the warm items alone: all that codebooks,
            generator and baselines may be fitted on.
        cold_item_ids: object[n_cold], of the items held out, in the catalog's order.
        histories: of the n test targets, over all items, the warm ones first; no history holds
            a cold item.
        targets: int32[n], item indices.
        users_left_out: users without any training interaction once the cold items were removed.
    """

    training: UserSequences
    cold_item_ids: np.ndarray
    histories: Histories
    targets: np.ndarray
    users_left_out: int

    @property
    def is_cold_target(self) -> np.ndarray:
        """bool[n], True for targets that are cold-start items."""
        return self.targets >= self.training.n_items


def hold_out_items(sequences: UserSequences, share: float, seed: int) -> ColdStartSplit:
    """Make a share of the test targets' items cold-start items.

    Their interactions in the training and validation splits are removed, from histories and from
    targets alike; as targets of the test split they stay.

    Args:
        sequences: of all users.
        share: of the distinct items among the test targets; at least one is held out.
        seed: of the draw.

    Raises:
        InputError: there are no test targets, or nothing is left to train on.
    """
    targets = np.unique(sequences.items[sequences.splits == SPLITS.index("test")])
    if not len(targets):
        raise InputError(
            "No user has a test interaction, so no item can be held out. Lower "
            "`data.split.min_history` or the k-core of `data.filter`."
        )
    count = max(1, round(share * len(targets)))
    chosen = np.random.default_rng(seed).permutation(targets)[:count]
    is_cold = np.zeros(sequences.n_items, dtype=bool)
    is_cold[chosen] = True
    return _split(sequences, is_cold)


def _split(sequences: UserSequences, is_cold: np.ndarray) -> ColdStartSplit:
    is_test = sequences.splits == SPLITS.index("test")
    kept = ~is_cold[sequences.items] | is_test
    owner = np.repeat(np.arange(sequences.n_users), np.diff(sequences.offsets))
    is_trained_on = kept & (sequences.splits == SPLITS.index("train"))
    trains = np.bincount(owner[is_trained_on], minlength=sequences.n_users) > 0
    kept &= trains[owner]
    if not kept.any():
        raise InputError(
            "No training interaction is left once the held-out items are removed. Lower "
            "`evaluation.cold_start.held_out_share`."
        )
    warm_first = np.concatenate([np.flatnonzero(~is_cold), np.flatnonzero(is_cold)])
    everything = _renumbered(sequences, warm_first, kept)
    n_warm = int((~is_cold).sum())
    histories, targets = everything.evaluation("test")
    return ColdStartSplit(
        training=_renumbered(sequences, warm_first[:n_warm], kept & ~is_cold[sequences.items]),
        cold_item_ids=sequences.item_ids[is_cold],
        histories=histories,
        targets=targets,
        users_left_out=int((~trains).sum()),
    )


def _renumbered(sequences: UserSequences, order: np.ndarray, kept: np.ndarray) -> UserSequences:
    """Some interactions, over the items `order` (old indices) only, in that order."""
    new_index = np.full(sequences.n_items, -1, dtype=np.int32)
    new_index[order] = np.arange(len(order))
    return UserSequences(
        user_ids=sequences.user_ids,
        item_ids=sequences.item_ids[order],
        offsets=np.concatenate([[0], np.cumsum(kept)])[sequences.offsets].astype(np.int64),
        items=new_index[sequences.items[kept]],
        splits=sequences.splits[kept],
    )
