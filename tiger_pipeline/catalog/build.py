"""From a raw source to the catalog: the `items` and `interactions` tables.

The steps, in this order: sort by time, drop low ratings, drop duplicates, k-core, break ties,
split. Duplicates go before the k-core so that a core counts different items; ties are broken last
so that the shuffle depends only on what is kept.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tiger_pipeline.catalog import splits
from tiger_pipeline.catalog.arrivals import read_arrivals, with_arrivals
from tiger_pipeline.catalog.artifacts import Catalog, CatalogCounts
from tiger_pipeline.catalog.config import DataConfig, GlobalTimeConfig, LeaveOneOutConfig
from tiger_pipeline.catalog.filters import at_least_rating, k_core
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.catalog.readers.source import read_source, resolve_folder
from tiger_pipeline.catalog.rows import InteractionRows
from tiger_pipeline.catalog.sequences import SPLITS
from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa


def build_catalog(config: DataConfig, base: Path, progress: Progress | None = None) -> Catalog:
    """Read, filter and split a dataset, the items of its `incoming/` folder included.

    Args:
        config: the settings of the dataset.
        base: the folder at which a relative `config.source.path` starts.
        progress: told about large files.

    Raises:
        InputError: the source breaks its contract, or the filters leave nothing.
        ConfigurationError: a setting does not apply to this source.
    """
    raw = read_source(config.source, base, progress)
    fields = [name for name in raw.items.columns if name != "item_id"]
    arrivals = read_arrivals(config, resolve_folder(config.source.path, base), fields)
    catalog = catalog_from_raw(with_arrivals(raw, arrivals), config)
    return dataclasses.replace(catalog, arrivals=arrivals)


def catalog_from_raw(raw: RawCatalog, config: DataConfig) -> Catalog:
    """Filter and split a dataset that has been read already. Raises as `build_catalog`."""
    source, user_ids = _index(raw)
    kept, dropped = _filter(source, config)
    tied = splits.count_tied(kept.users, kept.timestamps)
    n_filtered = len(kept)
    kept = _split(kept, config)

    n_interactions = np.bincount(kept.items, minlength=len(raw.items))
    in_catalog = n_interactions > 0
    if config.items_without_interactions == "keep":
        in_catalog[:] = True
    item_ids = raw.items["item_id"].to_numpy(dtype=object)
    is_withdrawn = _is_among(item_ids, raw.withdrawn)
    in_catalog |= _is_among(item_ids, raw.arrived)
    in_catalog &= ~is_withdrawn | (n_interactions > 0)
    return Catalog(
        items=_item_table(raw.items, in_catalog, n_interactions, is_withdrawn),
        interactions=_interaction_table(kept, user_ids, item_ids),
        counts=CatalogCounts(
            source_users=len(user_ids),
            source_items=len(raw.items),
            source_interactions=len(source),
            unlisted_items=raw.unlisted_items,
            **dropped,
            held_back=n_filtered - len(kept),
            users=kept.n_users,
            items=int(in_catalog.sum()),
            interactions=len(kept),
            **_count_splits(kept),
            items_without_interactions=int((n_interactions == 0).sum()),
            items_without_text=_count_without_text(raw.items[in_catalog]),
            tied_interactions=tied,
        ),
    )


def _index(raw: RawCatalog) -> tuple[InteractionRows, np.ndarray]:
    """The interactions as indices, sorted by user and time, and the users' ids."""
    frame = raw.interactions
    users, user_ids = pd.factorize(frame["user_id"])
    items = pd.Index(raw.items["item_id"]).get_indexer(frame["item_id"])
    if (items < 0).any():
        unknown = frame["item_id"].iloc[int((items < 0).argmax())]
        raise InputError(f"The interactions name item {unknown!r}, which is not among the items.")
    rows = InteractionRows(
        users=users.astype(np.int64),
        items=items.astype(np.int64),
        timestamps=frame["timestamp"].to_numpy() if "timestamp" in frame else None,
        ratings=frame["rating"].to_numpy() if "rating" in frame else None,
        splits=(
            pd.Index(SPLITS).get_indexer(pd.Index(frame["split"])).astype(np.int8)
            if "split" in frame
            else None
        ),
    )
    order = splits.chronological_order(rows.users, rows.timestamps, rows.splits)
    return rows.select(order), np.asarray(user_ids, dtype=object)


def _filter(rows: InteractionRows, config: DataConfig) -> tuple[InteractionRows, dict[str, int]]:
    """Apply the three filters; also tell how many interactions each dropped."""
    dropped: dict[str, int] = {}

    def keep(mask: np.ndarray | None, rule: str) -> None:
        nonlocal rows
        before = len(rows)
        rows = rows if mask is None else rows.select(mask)
        dropped[rule] = before - len(rows)

    rules = config.filter
    keep(at_least_rating(rows.ratings, rules.min_rating), "low_ratings")
    keep(splits.without_duplicates(rows.users, rows.items, config.duplicates), "duplicates")
    keep(k_core(rows.users, rows.items, rules.user_core, rules.item_core), "outside_core")
    if rows.splits is not None:
        _refuse_changed_splits(dropped)
    if not len(rows):
        raise InputError(
            "The filters leave no interactions: "
            f"{dropped['low_ratings']:,} are rated below {rules.min_rating:g}, "
            f"{dropped['duplicates']:,} are duplicates, and the core of {rules.user_core} "
            f"interactions a user and {rules.item_core} an item drops the other "
            f"{dropped['outside_core']:,}. Lower data.filter."
        )
    return rows, dropped


def _refuse_changed_splits(dropped: dict[str, int]) -> None:
    """A source with its own splits is kept as it is: filters may confirm it, not change it."""
    settings = {
        "low_ratings": "data.filter.min_rating: 0",
        "duplicates": "data.duplicates: keep",
        "outside_core": "data.filter: {user_core: 0, item_core: 0}",
    }
    for rule, count in dropped.items():
        if count:
            raise ConfigurationError(
                f"The source comes with its own splits, and the filters would drop {count:,} of "
                f"its interactions ({rule.replace('_', ' ')}). Set {settings[rule]}."
            )


def _split(rows: InteractionRows, config: DataConfig) -> InteractionRows:
    """Break ties and assign splits; without the interactions that a rehearsal must not see."""
    if config.split.tie_break == "shuffle":
        if rows.timestamps is None:
            raise ConfigurationError(
                "data.split.tie_break is `shuffle`, but the source has no timestamps, so it is "
                "not known which interactions are tied. Set it to `source`."
            )
        generator = np.random.default_rng(config.split.seed)
        rows = rows.select(
            splits.chronological_order(rows.users, rows.timestamps, rows.splits, generator)
        )
    if isinstance(config.split, GlobalTimeConfig):
        return dataclasses.replace(rows, splits=_split_by_time(rows, config.split))
    return _leave_one_out(rows, config.split)


def _leave_one_out(rows: InteractionRows, config: LeaveOneOutConfig) -> InteractionRows:
    assigned = rows.splits
    if assigned is None:
        assigned = splits.leave_one_out(rows.users, config.min_history)
    needed = config.min_history
    if config.rehearsal:
        rows = rows.select(assigned != SPLITS.index("test"))
        assigned = splits.leave_one_out(rows.users, config.min_history)
        needed += 1
    if SPLITS.index("test") not in assigned:
        raise InputError(
            f"No user has {needed} interactions (data.split.min_history"
            f"{' and the one that a rehearsal leaves out' if config.rehearsal else ''}), so there "
            "is nothing to evaluate on."
        )
    return dataclasses.replace(rows, splits=assigned)


def _split_by_time(rows: InteractionRows, config: GlobalTimeConfig) -> np.ndarray:
    if rows.splits is not None or rows.timestamps is None:
        lacks = "no timestamps" if rows.timestamps is None else "splits of its own"
        raise ConfigurationError(
            f"data.split.kind is `global_time`, but the source has {lacks}. Set it to "
            "`leave_one_out`."
        )
    cuts = {
        name: splits.time_at(rows.timestamps, cut)
        for name, cut in (("valid", config.valid_from), ("test", config.test_from))
    }
    shown = {name: f"{pd.Timestamp(cut, unit='s'):%Y-%m-%d %H:%M:%S}" for name, cut in cuts.items()}
    if cuts["valid"] >= cuts["test"]:
        raise ConfigurationError(
            f"data.split.valid_from ({config.valid_from}) begins at {shown['valid']} UTC and "
            f"data.split.test_from ({config.test_from}) at {shown['test']}: the validation period "
            "must come before the test period."
        )
    assigned = splits.global_time(rows.users, rows.timestamps, cuts["valid"], cuts["test"])
    for name, cut in shown.items():
        if SPLITS.index(name) not in assigned:
            raise InputError(
                f"No user has interactions both before and after {cut} UTC "
                f"(data.split.{name}_from), so there is no {name} target. Move the cut."
            )
    return assigned


def _is_among(item_ids: np.ndarray, chosen: frozenset[str]) -> np.ndarray:
    return pd.Index(item_ids).isin(list(chosen))


def _item_table(
    items: pd.DataFrame, keep: np.ndarray, n_interactions: np.ndarray, is_withdrawn: np.ndarray
) -> "pa.Table":
    import pyarrow as pa

    kept = items[keep]
    columns = {name: pa.array(kept[name].to_numpy(dtype=object), pa.string()) for name in kept}
    return pa.table(
        {
            **columns,
            "n_interactions": pa.array(n_interactions[keep], pa.int32()),
            "is_withdrawn": pa.array(is_withdrawn[keep], pa.bool_()),
        }
    )


def _interaction_table(
    rows: InteractionRows, user_ids: np.ndarray, item_ids: np.ndarray
) -> "pa.Table":
    import pyarrow as pa

    def optional(values: np.ndarray | None, kind: "pa.DataType") -> "pa.Array":
        if values is None:
            return pa.nulls(len(rows), kind)
        return pa.array(values, from_pandas=True).cast(kind, safe=False)

    timestamps = rows.timestamps
    if timestamps is not None:
        timestamps = np.floor(timestamps).astype(np.int64)
    return pa.table(
        {
            "user_id": pa.array(user_ids[rows.users], pa.string()),
            "item_id": pa.array(item_ids[rows.items], pa.string()),
            "position": pa.array(splits.positions(rows.users), pa.int32()),
            "split": pa.array(np.array(SPLITS, dtype=object)[rows.splits], pa.string()),
            "timestamp": optional(timestamps, pa.int64()),
            "rating": optional(rows.ratings, pa.float32()),
        }
    )


def _count_splits(rows: InteractionRows) -> dict[str, int]:
    assert rows.splits is not None
    counts = dict(
        zip(SPLITS, np.bincount(rows.splits, minlength=len(SPLITS)).tolist(), strict=True)
    )
    trained = rows.items[rows.splits == SPLITS.index("train")]

    def untrained(split: str) -> int:
        return int((~np.isin(rows.items[rows.splits == SPLITS.index(split)], trained)).sum())

    return {
        "train_interactions": counts["train"],
        "valid_interactions": counts["valid"],
        "test_interactions": counts["test"],
        "other_interactions": counts["valid_rest"] + counts["test_rest"],
        "users_without_test_target": rows.n_users - counts["test"],
        "untrained_valid_targets": untrained("valid"),
        "untrained_test_targets": untrained("test"),
    }


def _count_without_text(items: pd.DataFrame) -> int:
    return int((items.drop(columns="item_id") == "").all(axis=1).sum())
