"""What every reader returns: a dataset as its source gives it, before filters and splits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RawCatalog:
    """Items and interactions in the order of the source.

    Attributes:
        items: one row an item: `item_id` (text, unique) and any number of text fields with
            lower-case names; a value that the source does not know is "".
        interactions: one row an interaction: `user_id`, `item_id` (text, one of `items`), and
            where the source has them `timestamp` (unix seconds, int64 or float64), `rating`
            (float64, NaN where not known), `split` ("train", "valid" or "test"). Without
            timestamps the order of the rows is the order in time.
        unlisted_items: how many of `items` only the interactions name. Amazon's metadata is
            incomplete; such items follow the listed ones, with empty fields.
        arrived: ids of the items that came through `incoming/` (see `arrivals`); they are kept
            with or without interactions.
        withdrawn: ids of items that must not be recommended any more.
    """

    items: "pd.DataFrame"
    interactions: "pd.DataFrame"
    unlisted_items: int = 0
    arrived: frozenset[str] = frozenset()
    withdrawn: frozenset[str] = frozenset()
