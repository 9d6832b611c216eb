"""The catalog of a dataset: its two tables, and the account of how they came about."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from tiger_pipeline.catalog.arrivals import Arrivals


@dataclass(frozen=True)
class CatalogCounts:
    """What was there, what was dropped by which rule, and what is left.

    Attributes:
        source_users: users of the source.
        source_items: items of the source, with or without interactions.
        source_interactions: interactions of the source.
        unlisted_items: items that Amazon's metadata lacks; they have empty fields.
        low_ratings: interactions dropped by the rating threshold.
        duplicates: interactions dropped because their user has another with the same item.
        outside_core: interactions dropped by the k-core.
        held_back: interactions left out of a rehearsal: the test targets of the real run.
        users: users of the catalog.
        items: items of the catalog.
        interactions: interactions of the catalog.
        train_interactions: those of them in the training split.
        valid_interactions: validation targets.
        test_interactions: test targets.
        other_interactions: neither; in a global time split, what users did after a target.
        users_without_test_target: too short to evaluate, or not there in the test period.
        untrained_valid_targets: validation targets whose item has no training interaction: a model
            can only know it by its text.
        untrained_test_targets: those of the test targets.
        items_without_interactions: items of the source that no interaction of the catalog names.
        items_without_text: items of the catalog whose fields are all empty.
        tied_interactions: interactions that share their time with another of the same user.
    """

    source_users: int
    source_items: int
    source_interactions: int
    unlisted_items: int
    low_ratings: int
    duplicates: int
    outside_core: int
    held_back: int
    users: int
    items: int
    interactions: int
    train_interactions: int
    valid_interactions: int
    test_interactions: int
    other_interactions: int
    users_without_test_target: int
    untrained_valid_targets: int
    untrained_test_targets: int
    items_without_interactions: int
    items_without_text: int
    tied_interactions: int

    def as_dict(self) -> dict[str, int]:
        """The counts by name, for metadata."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Catalog:
    """The catalog of a dataset.

    Attributes:
        items: item_id string (unique), the source's text fields (string, "" where not known),
            n_interactions int32 (over all splits), is_withdrawn bool; in the order of the source,
            new arrivals at the end.
        interactions: user_id string, item_id string, position int32 (0-based in the user's
            history), split string, timestamp int64 (unix seconds, null where not known), rating
            float32 (null where not known); users in the order of first appearance in the source,
            each user's rows together, oldest first.
        counts: what was dropped and what is left.
        arrivals: what the dataset's `incoming/` folder said; None where it was not read.
    """

    items: "pa.Table"
    interactions: "pa.Table"
    counts: CatalogCounts
    arrivals: "Arrivals | None" = None
