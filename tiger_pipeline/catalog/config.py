"""Settings of the catalog: where the data is, how it is filtered, split and turned into text."""

import re
from datetime import date
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from tiger_pipeline.strict_config import StrictConfig, is_default

# Five digits, such as 10100_LOU, leave only one reading: two for each core.
_FILTER_NAME = re.compile(r"(?P<user>\d{1,2})(?P<item>\d|(?<=\d{2})\d{2})(?P<rating>\d)_LOU")


class ColumnNames(StrictConfig):
    """Names in the source of the columns that the pipeline needs (for `format: tables`)."""

    user_id: str = "user_id"
    item_id: str = "item_id"
    timestamp: str | None = "timestamp"
    """Unix time, or None when the source's row order is the order in time."""
    rating: str | None = "rating"
    item_id_in_items: str | None = None
    """Name of the item id in the item table, where it differs from the one in interactions."""


class SourceConfig(StrictConfig):
    """A dataset's raw files."""

    format: Literal["plain", "freerec", "amazon2014", "amazon2018", "amazon2023", "tables"] = (
        "plain"
    )
    path: str
    """Folder of the files; `~` and `$VARIABLES` are expanded, a relative path starts at the
    YAML file's folder."""
    items: str | None = None
    """File name of the items in that folder, where the format's own name does not apply."""
    interactions: str | None = None
    columns: ColumnNames = ColumnNames()
    fields: dict[str, str] = Field(
        {},
        description="For `tables`: item text field → column (e.g. {title: product_name}); "
        "empty takes all.",
    )

    @model_validator(mode="after")
    def _mapping_only_for_tables(self) -> "SourceConfig":
        if self.format != "tables" and (self.fields or self.columns != ColumnNames()):
            raise ValueError(
                f"columns and fields describe sources with `format: tables`, not {self.format}"
            )
        return self

    @field_validator("fields")
    @classmethod
    def _lower_case_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        if any(name != name.lower() or not name for name in fields):
            raise ValueError("names of text fields are lower-case")
        return fields


class FilterConfig(StrictConfig):
    """Iterative k-core over users and items after a rating threshold.

    The study writes these as one name: `550_LOU` is user core 5, item core 5, no rating
    threshold, leave-one-out; `1000_LOU` is 10, 0, 0.
    """

    user_core: int = Field(0, ge=0, description="Fewest interactions of a user; 0 keeps all.")
    item_core: int = Field(0, ge=0, description="Fewest interactions of an item; 0 keeps all.")
    min_rating: float = Field(0.0, ge=0, description="Lower ratings are dropped first.")

    @classmethod
    def from_name(cls, name: str) -> "FilterConfig":
        """Read a name such as `550_LOU` or `1000_LOU`."""
        match = _FILTER_NAME.fullmatch(name)
        if match is None:
            raise ValueError(
                f"filter {name!r} is not of the form <user core><item core><rating>_LOU, "
                "such as 550_LOU or 1000_LOU"
            )
        return cls(
            user_core=int(match["user"]),
            item_core=int(match["item"]),
            min_rating=float(match["rating"]),
        )


class TieConfig(StrictConfig):
    """Order of a user's interactions at the same time, which decides what the targets are."""

    tie_break: Literal["source", "shuffle"] = Field(
        "source", description="Order of a user's interactions at the same time."
    )
    seed: int = Field(0, ge=0, description="Of the shuffle of ties.")

    @property
    def ties(self) -> str:
        """The order in words, as every measured value carries it."""
        return "source" if self.tie_break == "source" else f"shuffle (seed {self.seed})"


class LeaveOneOutConfig(TieConfig):
    """Leave-one-out: a user's last item is the test target, the one before it validation.

    A source with splits of its own (`format: freerec`) keeps them.
    """

    kind: Literal["leave_one_out"] = "leave_one_out"
    min_history: int = Field(
        3,
        ge=3,
        description="Users with fewer interactions take part in training only. FreeRec's "
        "`_LOU` datasets correspond to 4.",
    )
    rehearsal: bool = Field(
        False,
        exclude_if=is_default(False),
        description="Leave out every user's test target first: the validation target is then the "
        "test target, the last training interaction the validation target. Choose settings on "
        "such a dataset; what is left out stays unseen for the final test.",
    )

    @property
    def holdout(self) -> str:
        """How targets are chosen, as every measured value carries it."""
        return f"{self.kind} (rehearsal)" if self.rehearsal else self.kind


class GlobalTimeConfig(TieConfig):
    """One cut in time for all users: train before it, test what each user does next after it.

    Needs timestamps; `catalog.splits.global_time` says exactly what is trained on and tested.
    """

    kind: Literal["global_time"] = "global_time"
    valid_from: Annotated[float, Field(gt=0, lt=1)] | date = Field(
        0.8,
        description="Where training ends: a share of all interactions, or a date (UTC) such as "
        "2014-01-31.",
    )
    test_from: Annotated[float, Field(gt=0, lt=1)] | date = Field(
        0.9, description="Where the validation period ends, in the same way."
    )

    @property
    def holdout(self) -> str:
        """How targets are chosen, as every measured value carries it."""
        return f"{self.kind} (valid from {self.valid_from}, test from {self.test_from})"


def _split_kind(values: object) -> str:
    kind = values.get("kind") if isinstance(values, dict) else getattr(values, "kind", None)
    return str(kind or "leave_one_out")


SplitConfig = Annotated[
    Annotated[LeaveOneOutConfig, Tag("leave_one_out")]
    | Annotated[GlobalTimeConfig, Tag("global_time")],
    Discriminator(
        _split_kind,
        custom_error_type="split_kind",
        custom_error_message="kind must be leave_one_out or global_time",
    ),
]
"""How targets are chosen; leave-one-out where no `kind` is given."""


class TextConfig(StrictConfig):
    """How an item's fields become the text that is encoded."""

    fields: tuple[str, ...] = ("title", "categories", "brand")
    line: str = "{field}: {value}."
    """One line a field; `{field}` is the upper-case name; lines are joined by newlines."""

    @field_validator("fields")
    @classmethod
    def _some_fields(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        if not fields or len(set(fields)) != len(fields):
            raise ValueError("name at least one field, each once")
        return fields

    @field_validator("line")
    @classmethod
    def _has_value(cls, line: str) -> str:
        if "{value}" not in line:
            raise ValueError("the line template must contain {value}")
        return line


class IncomingConfig(StrictConfig):
    """Files with new, changed and withdrawn items, beside the dataset's own files."""

    folder: str = "incoming"
    """Folder inside the dataset's; it need not exist. Rejected rows are written into it."""
    settle_seconds: float = Field(
        30.0,
        ge=0,
        description="A file that changed less than so many seconds ago may be half-written: it is "
        "left for the next time.",
    )

    @field_validator("folder")
    @classmethod
    def _stays_inside(cls, folder: str) -> str:
        path = PurePath(folder)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError("the folder must be inside the dataset's, such as incoming")
        return folder


class DataConfig(StrictConfig):
    """Everything that makes the catalog of a dataset."""

    source: SourceConfig
    filter: FilterConfig = FilterConfig()
    duplicates: Literal["first", "last", "keep"] = Field(
        "first", description="Which of a user's interactions with the same item stays."
    )
    split: SplitConfig = LeaveOneOutConfig()
    text: TextConfig = TextConfig()
    items_without_interactions: Literal["drop", "keep"] = "drop"
    """`keep` leaves cold-start items in the catalog: encoded, but not part of any training. That
    includes items whose interactions the filters removed."""
    incoming: IncomingConfig = IncomingConfig()

    @model_validator(mode="before")
    @classmethod
    def _named_filter(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("filter"), str):
            named = FilterConfig.from_name(values["filter"])
            return {**values, "filter": named}
        return values
