"""What must hold for a catalog, tested on the tables themselves.

Each function returns the problems it finds as sentences; none means that all is well.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tiger_pipeline.catalog.sequences import SPLITS, UserSequences

if TYPE_CHECKING:
    import pyarrow as pa


def check_items(items: "pa.Table", interactions: "pa.Table") -> list[str]:
    """Ids are unique and not empty, and `n_interactions` counts the interactions."""
    ids = items["item_id"].to_pandas()
    problems = []
    if (twice := ids[ids.duplicated()]).size:
        problems.append(f"{twice.size} rows repeat an item id, the first {twice.iloc[0]!r}.")
    if (ids.isna() | (ids == "")).any():
        problems.append("An item id is empty.")
    counted = interactions["item_id"].to_pandas().value_counts().reindex(ids, fill_value=0)
    wrong = counted.to_numpy() != items["n_interactions"].to_numpy()
    if wrong.any():
        problems.append(
            f"n_interactions is wrong for {wrong.sum()} items, the first "
            f"{ids.iloc[int(wrong.argmax())]!r}."
        )
    return problems


def check_interactions(interactions: "pa.Table", items: "pa.Table") -> list[str]:
    """Every interaction's item is known; users are grouped, strictly ordered, legally split.

    A user's splits never go back from test to validation to training; a user has at most one
    validation and one test target, and something before each: a training interaction before a
    validation target, any before a test target.
    """
    frame = interactions.to_pandas()
    problems = []
    unknown = ~frame["item_id"].isin(items["item_id"].to_pandas())
    if unknown.any():
        problems.append(
            f"{unknown.sum()} interactions name an item that is not in items, the first "
            f"{frame['item_id'][unknown].iloc[0]!r}."
        )
    users = pd.factorize(frame["user_id"])[0]
    if (np.diff(users) < 0).any():
        return [*problems, "The interactions are not grouped by user."]
    split = pd.Index(SPLITS).get_indexer(frame["split"])
    within = users[1:] == users[:-1]
    position = frame["position"].to_numpy()
    starts = np.append(True, ~within)
    if (position[starts] != 0).any() or (np.diff(position)[within] != 1).any():
        problems.append("A user's positions are not 0, 1, 2, …")
    if (split < 0).any():
        return [*problems, f"A split is not one of {', '.join(SPLITS)}."]
    train, valid, test = map(SPLITS.index, ("train", "valid", "test"))
    if (np.diff(split)[within] < 0).any():
        problems.append("A user's splits are not in the order train, valid, test.")
    same_split = within & (np.diff(split) == 0)
    if (frame["timestamp"].diff().to_numpy()[1:][same_split] < 0).any():
        problems.append("A user's timestamps go back within a split.")
    per_user = np.zeros((int(users.max(initial=-1)) + 1, len(SPLITS)), dtype=np.int64)
    np.add.at(per_user, (users, split), 1)
    for target, first_stop in ((valid, train + 1), (test, test)):
        name = SPLITS[target]
        if many := int((per_user[:, target] > 1).sum()):
            problems.append(f"{many} users have several {name} targets.")
        has_history = per_user[:, :first_stop].any(axis=1)
        if alone := int((per_user[:, target].astype(bool) & ~has_history).sum()):
            problems.append(f"{alone} users have no history before their {name} target.")
    return problems


def check_no_future_in_training(interactions: "pa.Table") -> list[str]:
    """In a global time split, whatever is not trained on happened after all that is."""
    frame = interactions.select(["split", "timestamp"]).to_pandas()
    is_trained = frame["split"] == "train"
    last = frame["timestamp"][is_trained].max()
    # Stored times are whole seconds: what a fraction of a second separates looks the same.
    early = int((frame["timestamp"][~is_trained] < last).sum())
    if not early:
        return []
    return [f"{early} validation or test interactions happened before the last training one."]


def check_no_target_in_training(
    interactions: "pa.Table", items: "pa.Table", repeats_allowed: bool
) -> list[str]:
    """No validation or test target is among what a model is fitted on.

    The check looks at the training sequences that the models get. An interaction is a (user,
    position) pair: a user's training sequence must end before the user's first target. Unless a
    user may have an item several times, the target's item must not occur in it either.

    Args:
        interactions: the `interactions` artifact.
        items: the `items` artifact.
        repeats_allowed: whether the dataset keeps duplicates (`data.duplicates: keep`).
    """
    sequences = UserSequences.from_table(interactions, items["item_id"].to_pylist())
    training = sequences.training()
    trained = pd.MultiIndex.from_arrays(
        [np.repeat(training.users, training.lengths), training.items]
    )
    position = interactions["position"].to_numpy()
    owner = np.repeat(np.arange(sequences.n_users), np.diff(sequences.offsets))
    problems = []
    for split in ("valid", "test"):
        is_target = sequences.splits == SPLITS.index(split)
        users = owner[is_target]
        inside = int((position[is_target] < training.lengths[users]).sum())
        if inside:
            problems.append(f"{inside} {split} targets lie inside a training sequence.")
        pairs = pd.MultiIndex.from_arrays([users, sequences.items[is_target]])
        seen = int(pairs.isin(trained).sum())
        if seen and not repeats_allowed:
            problems.append(
                f"{seen} {split} targets are items of the same user's training sequence, though "
                "duplicates are dropped."
            )
    return problems
