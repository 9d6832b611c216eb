from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.build import build_catalog, catalog_from_raw
from tiger_pipeline.catalog.checks import (
    check_interactions,
    check_items,
    check_no_future_in_training,
    check_no_target_in_training,
)
from tiger_pipeline.catalog.config import DataConfig
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.errors import ConfigurationError, InputError, TigerError
from tiger_pipeline.storage.fingerprint import fingerprint_table
from tiger_pipeline_tests.catalog.writing import FREEREC, PLAIN, data, write

N_ITEMS = 6


def config(**settings: object) -> DataConfig:
    return DataConfig.model_validate({"source": {"path": "."}, **settings})


def raw(events: list[tuple[str, str, int]], **extra: list) -> RawCatalog:
    users, items, times = zip(*events, strict=True)
    ids = [f"i{index}" for index in range(N_ITEMS)]
    return RawCatalog(
        items=pd.DataFrame({"item_id": ids, "title": [f"Item {i}" for i in ids]}),
        interactions=pd.DataFrame(
            {"user_id": users, "item_id": items, "timestamp": times, **extra}
        ),
    )


def rows(catalog, *columns: str) -> list[tuple]:
    return [tuple(row[c] for c in columns) for row in catalog.interactions.to_pylist()]


def test_a_small_catalog_by_hand(tmp_path: Path) -> None:
    catalog = build_catalog(data(write(tmp_path, PLAIN)), tmp_path)
    assert catalog.items.to_pylist() == [
        {
            "item_id": "a",
            "title": "Red polish",
            "brand": "OPI",
            "n_interactions": 2,
            "is_withdrawn": False,
        },
        {"item_id": "b", "title": "Serum", "brand": "", "n_interactions": 1, "is_withdrawn": False},
        {
            "item_id": "c",
            "title": "Soap",
            "brand": "Dove",
            "n_interactions": 2,
            "is_withdrawn": False,
        },
    ]
    assert [tuple(row.values()) for row in catalog.interactions.to_pylist()] == [
        ("u", "a", 0, "train", 10, 5.0),
        ("u", "b", 1, "valid", 20, 4.0),
        ("u", "c", 2, "test", 30, 1.0),
        ("v", "c", 0, "train", 5, 3.0),
        ("v", "a", 1, "train", 6, None),
    ]
    assert catalog.interactions.schema == pa.schema(
        {
            "user_id": pa.string(),
            "item_id": pa.string(),
            "position": pa.int32(),
            "split": pa.string(),
            "timestamp": pa.int64(),
            "rating": pa.float32(),
        }
    )
    assert catalog.items.schema.field("n_interactions").type == pa.int32()
    assert catalog.counts.as_dict() == {
        "source_users": 2, "source_items": 3, "source_interactions": 5, "unlisted_items": 0,
        "low_ratings": 0, "duplicates": 0, "outside_core": 0, "held_back": 0,
        "users": 2, "items": 3, "interactions": 5,
        "train_interactions": 3, "valid_interactions": 1, "test_interactions": 1,
        "other_interactions": 0, "users_without_test_target": 1,
        "untrained_valid_targets": 1, "untrained_test_targets": 0,
        "items_without_interactions": 0, "items_without_text": 0,
        "tied_interactions": 0,
    }  # fmt: skip


def test_source_splits_stay_as_they_are(tmp_path: Path) -> None:
    folder = write(tmp_path, FREEREC)
    catalog = build_catalog(data(folder, "freerec", duplicates="keep"), tmp_path)
    assert rows(catalog, "user_id", "item_id", "position", "split", "timestamp") == [
        ("0", "0", 0, "train", 10),
        ("0", "1", 1, "train", 11),
        ("0", "2", 2, "valid", 12),
        ("0", "1", 3, "test", 13),
        ("1", "2", 0, "train", 3),
    ]
    assert catalog.counts.users_without_test_target == 1


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"duplicates": "first"}, "duplicates: keep"),
        ({"duplicates": "keep", "filter": "550_LOU"}, "user_core: 0"),
        ({"duplicates": "keep", "filter": {"min_rating": 2}}, "min_rating: 0"),
    ],
)
def test_filters_may_not_change_the_splits_of_a_source(tmp_path, settings, advice) -> None:
    folder = write(tmp_path, FREEREC)
    with pytest.raises(ConfigurationError, match=advice):
        build_catalog(data(folder, "freerec", **settings), tmp_path)


def test_steps_come_in_their_documented_order() -> None:
    # Without its duplicate, u has two interactions left and falls to the user core of 3.
    events = [("u", "i0", 1), ("u", "i0", 2), ("u", "i1", 3)]
    events += [("v", f"i{item}", item) for item in range(4)]
    catalog = catalog_from_raw(raw(events), config(filter={"user_core": 3}))
    assert catalog.counts.duplicates == 1
    assert catalog.counts.outside_core == 2
    assert {user for (user,) in rows(catalog, "user_id")} == {"v"}
    # A low rating does not shadow a later good one of the same item.
    rated = raw(events, rating=[1.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0])
    catalog = catalog_from_raw(rated, config(filter={"min_rating": 4}))
    assert rows(catalog, "user_id", "item_id", "timestamp")[0] == ("u", "i0", 2)


@pytest.mark.parametrize(("policy", "kept"), [("first", [1, 2, 4]), ("last", [2, 3, 4])])
def test_duplicates_are_first_and_last_in_time(policy: str, kept: list[int]) -> None:
    events = [("u", "i0", 3), ("u", "i1", 2), ("u", "i0", 1), ("u", "i2", 4)]
    catalog = catalog_from_raw(raw(events), config(duplicates=policy))
    assert [time for (time,) in rows(catalog, "timestamp")] == kept


def test_cold_start_items_are_dropped_or_kept() -> None:
    events = [("u", f"i{item}", item) for item in (2, 0, 4)]
    dropped = catalog_from_raw(raw(events), config())
    assert dropped.items["item_id"].to_pylist() == ["i0", "i2", "i4"]
    kept = catalog_from_raw(raw(events), config(items_without_interactions="keep"))
    assert kept.items["item_id"].to_pylist() == [f"i{index}" for index in range(N_ITEMS)]
    assert kept.items["n_interactions"].to_pylist() == [1, 0, 1, 0, 1, 0]
    assert dropped.counts.items_without_interactions == 3
    assert kept.counts.items_without_interactions == 3
    assert kept.interactions.equals(dropped.interactions)


def test_users_keep_the_order_of_their_first_appearance() -> None:
    events = [(user, f"i{item}", 10 - item) for item in range(3) for user in ("z", "a", "m")]
    catalog = catalog_from_raw(raw(events), config())
    assert list(dict.fromkeys(catalog.interactions["user_id"].to_pylist())) == ["z", "a", "m"]


def test_shuffled_ties_change_targets_and_follow_the_seed() -> None:
    events = [(f"u{user}", f"i{item}", 0) for user in range(12) for item in range(5)]

    def targets(**split: object) -> list[str]:
        catalog = catalog_from_raw(raw(events), config(split=split))
        return [item for item, part in rows(catalog, "item_id", "split") if part == "test"]

    assert targets() == ["i4"] * 12
    shuffled = targets(tie_break="shuffle", seed=1)
    assert shuffled == targets(tie_break="shuffle", seed=1)
    assert shuffled != targets(tie_break="shuffle", seed=2)
    assert len(set(shuffled)) > 2


def test_the_shuffle_does_not_depend_on_what_the_filters_dropped() -> None:
    events = [(f"u{user}", f"i{item}", 0) for user in range(6) for item in range(4)]
    shuffle = {"tie_break": "shuffle", "seed": 3}
    alone = catalog_from_raw(raw(events), config(split=shuffle))
    extra = catalog_from_raw(
        raw([("short", "i0", 0), *events]), config(split=shuffle, filter={"user_core": 2})
    )
    assert extra.interactions.equals(alone.interactions)


def test_ties_cannot_be_shuffled_without_timestamps() -> None:
    source = raw([("u", f"i{item}", 0) for item in range(4)])
    untimed = RawCatalog(source.items, source.interactions.drop(columns="timestamp"))
    assert catalog_from_raw(untimed, config()).interactions["timestamp"].null_count == 4
    with pytest.raises(ConfigurationError, match="no timestamps"):
        catalog_from_raw(untimed, config(split={"tie_break": "shuffle"}))


def test_a_time_split_cuts_all_users_at_once() -> None:
    events = [("u", f"i{item}", item) for item in range(6)] + [("v", "i5", 1), ("v", "i0", 5)]
    split = {"kind": "global_time", "valid_from": 0.5, "test_from": 0.75}
    catalog = catalog_from_raw(raw(events), config(split=split))
    assert rows(catalog, "user_id", "item_id", "split") == [
        ("u", "i0", "train"), ("u", "i1", "train"), ("u", "i2", "train"), ("u", "i3", "valid"),
        ("u", "i4", "valid_rest"), ("u", "i5", "test"), ("v", "i5", "train"), ("v", "i0", "test"),
    ]  # fmt: skip
    counts = catalog.counts
    assert (counts.other_interactions, counts.users_without_test_target) == (1, 0)
    assert (counts.untrained_valid_targets, counts.untrained_test_targets) == (1, 0)


@pytest.mark.parametrize(
    ("split", "error", "message"),
    [
        ({"valid_from": "1970-01-01"}, InputError, "before and after 1970-01-01 00:00:00 UTC"),
        ({"test_from": "1999-01-01"}, InputError, r"data\.split\.test_from.*no test target"),
        ({"valid_from": 0.9, "test_from": 0.2}, ConfigurationError, "valid_from .0.9. begins at"),
    ],
)
def test_cuts_without_sense_are_explained(split: dict, error: type, message: str) -> None:
    source = raw([("u", f"i{item}", 1000 * item) for item in range(6)])
    with pytest.raises(error, match=message):
        catalog_from_raw(source, config(split={"kind": "global_time", **split}))


def test_a_time_split_needs_timestamps_and_no_splits_of_the_source(tmp_path: Path) -> None:
    source = raw([("u", f"i{item}", 0) for item in range(4)])
    untimed = RawCatalog(source.items, source.interactions.drop(columns="timestamp"))
    with pytest.raises(ConfigurationError, match="global_time`, but the source has no timestamps"):
        catalog_from_raw(untimed, config(split={"kind": "global_time"}))
    folder = write(tmp_path, FREEREC)
    with pytest.raises(ConfigurationError, match="has splits of its own"):
        build_catalog(
            data(folder, "freerec", duplicates="keep", split={"kind": "global_time"}), tmp_path
        )


def test_a_rehearsal_sees_no_real_test_target() -> None:
    events = [("u", f"i{item}", item) for item in range(5)]
    events += [("v", f"i{item}", item) for item in range(3)] + [("w", "i5", 1), ("w", "i0", 2)]
    catalog = catalog_from_raw(raw(events), config(split={"rehearsal": True}))
    assert rows(catalog, "user_id", "item_id", "position", "split") == [
        ("u", "i0", 0, "train"), ("u", "i1", 1, "train"), ("u", "i2", 2, "valid"),
        ("u", "i3", 3, "test"),
        ("v", "i0", 0, "train"), ("v", "i1", 1, "train"),
        ("w", "i5", 0, "train"), ("w", "i0", 1, "train"),
    ]  # fmt: skip
    # Only v's and u's last interactions are targets of the real run: w is too short for one.
    assert catalog.counts.held_back == 2
    assert "i4" not in catalog.items["item_id"].to_pylist()


def test_a_rehearsal_of_a_source_with_splits_of_its_own(tmp_path: Path) -> None:
    folder = write(tmp_path, FREEREC)
    settings = data(folder, "freerec", duplicates="keep", split={"rehearsal": True})
    catalog = build_catalog(settings, tmp_path)
    assert rows(catalog, "user_id", "item_id", "split") == [
        ("0", "0", "train"), ("0", "1", "valid"), ("0", "2", "test"), ("1", "2", "train"),
    ]  # fmt: skip


def test_nothing_left_and_nothing_to_evaluate() -> None:
    source = raw([("u", "i0", 0), ("u", "i1", 1), ("v", "i2", 0)])
    with pytest.raises(InputError, match="drops the other 3"):
        catalog_from_raw(source, config(filter="550_LOU"))
    with pytest.raises(
        InputError, match=r"No user has 3 interactions \(data\.split\.min_history\)"
    ):
        catalog_from_raw(source, config())
    three = raw([("u", f"i{item}", item) for item in range(3)])
    with pytest.raises(InputError, match=r"No user has 4 .* the one that a rehearsal leaves out"):
        catalog_from_raw(three, config(split={"rehearsal": True}))


def test_an_item_that_is_not_listed_is_named() -> None:
    with pytest.raises(InputError, match="'i9'"):
        catalog_from_raw(raw([("u", "i9", 0)]), config())


def test_fractions_of_a_second_decide_the_order_but_are_not_stored() -> None:
    source = raw([("u", "i0", 0), ("u", "i1", 0), ("u", "i2", 0)])
    timed = source.interactions.assign(timestamp=[5.75, 5.5, 5.25])
    catalog = catalog_from_raw(RawCatalog(source.items, timed), config())
    assert rows(catalog, "item_id", "timestamp") == [("i2", 5), ("i1", 5), ("i0", 5)]
    assert catalog.counts.tied_interactions == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["u", "v", "w", "x"]),
            st.sampled_from([f"i{index}" for index in range(N_ITEMS)]),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["first", "last", "keep"]),
    st.sampled_from(["source", "shuffle"]),
    st.sampled_from(
        [{}, {"rehearsal": True}, {"kind": "global_time", "valid_from": 0.4, "test_from": 0.7}]
    ),
    st.integers(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_every_catalog_passes_its_checks(events, duplicates, tie_break, split, core) -> None:
    settings = config(
        duplicates=duplicates,
        split={"tie_break": tie_break, **split},
        filter={"user_core": core, "item_core": core},
    )
    try:
        catalog = catalog_from_raw(raw(events), settings)
    except TigerError:
        return
    items, interactions = catalog.items, catalog.interactions
    assert check_items(items, interactions) == []
    assert check_interactions(interactions, items) == []
    assert check_no_target_in_training(interactions, items, duplicates == "keep") == []
    if "kind" in split:
        assert check_no_future_in_training(interactions) == []
    counts = catalog.counts
    assert counts.source_interactions == (
        counts.interactions
        + counts.low_ratings
        + counts.duplicates
        + counts.outside_core
        + counts.held_back
    )
    kept, given = Counter(rows(catalog, "user_id", "item_id", "timestamp")), Counter(events)
    assert kept <= given
    again = catalog_from_raw(raw(events), settings)
    assert fingerprint_table(again.interactions) == fingerprint_table(interactions)


def test_source_frames_are_not_changed() -> None:
    source = raw([("u", f"i{item}", -item) for item in range(4)])
    before = source.interactions.copy()
    catalog_from_raw(source, config(split={"tie_break": "shuffle"}))
    pd.testing.assert_frame_equal(source.interactions, before)
    assert np.array_equal(source.items.columns, ["item_id", "title"])
