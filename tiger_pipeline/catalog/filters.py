"""Filters of interactions: rating threshold and iterative k-core.

Both return masks over the rows that they are given and leave the order alone.
"""

import numpy as np

from tiger_pipeline.errors import ConfigurationError


def at_least_rating(ratings: np.ndarray | None, min_rating: float) -> np.ndarray | None:
    """Which interactions have a rating of at least `min_rating`.

    Args:
        ratings: float64[n], NaN where not known, or None for a source without ratings.
        min_rating: 0 keeps all, also the unknown ones; above 0 an unknown rating is too low.

    Returns:
        bool[n], or None when there is nothing to filter by.

    Raises:
        ConfigurationError: a threshold is set, but the source has no ratings.
    """
    if min_rating <= 0:
        return None
    if ratings is None:
        raise ConfigurationError(
            f"data.filter.min_rating is {min_rating:g}, but the source has no ratings. "
            "Set it to 0, or name the column of the ratings."
        )
    return ratings >= min_rating


def k_core(users: np.ndarray, items: np.ndarray, user_core: int, item_core: int) -> np.ndarray:
    """Which interactions are in the (user_core, item_core)-core.

    The core is the largest subset of the interactions in which every user has at least
    `user_core` and every item at least `item_core` of them. It is found by removing users and
    items that have fewer, until none has. It is unique: the union of two subsets that satisfy
    the condition satisfies it too, so whatever is removed is in none of them.

    Args:
        users: int[n], user index of each interaction.
        items: int[n], item index of each interaction.
        user_core: fewest interactions of a user; 0 and 1 keep all users.
        item_core: fewest interactions of an item.

    Returns:
        bool[n]; all False where there is no such subset.
    """
    left = np.arange(len(users))
    while True:
        user_ok = np.bincount(users[left], minlength=1) >= user_core
        kept = left[user_ok[users[left]]]
        item_ok = np.bincount(items[kept], minlength=1) >= item_core
        kept = kept[item_ok[items[kept]]]
        if len(kept) == len(left):
            break
        left = kept
    mask = np.zeros(len(users), dtype=bool)
    mask[left] = True
    return mask
