"""The semantic IDs of cold items: a table to which runs append, version by version.

Every ID that was ever given has its row, in the order of giving, and keeps it: nothing moves, and
no ID is given twice. An item that is withdrawn keeps its ID for the case that it returns; an item
that was given a new ID on request leaves its old one reserved. The latest row of an item counts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.semantic_ids.collisions import resolve_collisions
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.fingerprint import fingerprint_json, fingerprint_table
from tiger_pipeline.storage.tables import metadata_of, with_metadata

if TYPE_CHECKING:
    import pyarrow as pa

IN_USE = 0
"""In the column `withdrawn_in` of an item that is not withdrawn."""

_AGAIN = "Materialize the asset cold_semantic_ids again."


@dataclass(frozen=True)
class Version:
    """What one version of the table changed.

    Attributes:
        version: its number, from 1.
        created_at: ISO 8601, UTC.
        joined: items that got their first ID.
        reassigned: items that got a new ID for a changed text, on request.
        withdrawn: cold items that left; their IDs are reserved.
        returned: withdrawn cold items that are back, with the ID that they had.
        cold_items: cold items in use in this version.
        warm_items_withdrawn: warm items that are withdrawn in this version.
        warm_ids: fingerprint of the warm items' IDs; with another one, all cold items get new IDs.
    """

    version: int
    created_at: str
    joined: int
    reassigned: int
    withdrawn: int
    returned: int
    cold_items: int
    warm_items_withdrawn: int
    warm_ids: str


@dataclass(frozen=True)
class ColdTable:
    """The rows of the table as arrays, oldest first.

    Attributes:
        ids: of all rows; an item with several rows occurs several times.
        text_hashes: object[n], of the text that an ID was made from.
        versions: int32[n], in which version the row was appended.
        withdrawn_in: int32[n], the version in which its item was withdrawn, or `IN_USE`.
        warm_ids: fingerprint of the warm items' semantic IDs beside which these are.
        warm_withdrawn: ids of withdrawn warm items, sorted.
        history: all versions, also those beside other warm IDs.
    """

    ids: SemanticIds
    text_hashes: np.ndarray
    versions: np.ndarray
    withdrawn_in: np.ndarray
    warm_ids: str
    warm_withdrawn: tuple[str, ...] = ()
    history: tuple[Version, ...] = field(default=())

    @classmethod
    def empty(cls, warm: SemanticIds, history: Sequence[Version] = ()) -> "ColdTable":
        """No rows yet, beside the IDs of `warm`; `history` is that of an earlier table."""
        return cls(
            ids=SemanticIds(
                item_ids=np.empty(0, dtype=object),
                codes=np.empty((0, warm.levels), dtype=np.int32),
                suffixes=np.empty(0, dtype=np.int32),
                codebook_sizes=warm.codebook_sizes,
            ),
            text_hashes=np.empty(0, dtype=object),
            versions=np.empty(0, dtype=np.int32),
            withdrawn_in=np.empty(0, dtype=np.int32),
            warm_ids=warm.fingerprint,
            history=tuple(history),
        )

    @property
    def latest_rows(self) -> np.ndarray:
        """int64[items], the row that counts of each item, ascending."""
        last = {item_id: row for row, item_id in enumerate(self.ids.item_ids)}
        return np.array(sorted(last.values()), dtype=np.int64)

    @property
    def rows_in_use(self) -> np.ndarray:
        """int64[items], the row that counts of each item that is not withdrawn, ascending."""
        latest = self.latest_rows
        return latest[self.withdrawn_in[latest] == IN_USE]

    @property
    def fingerprint(self) -> str:
        """Changes with any row and with any withdrawal, not with the history alone."""
        return fingerprint_json([fingerprint_table(self._rows()), list(self.warm_withdrawn)])

    def in_use(self) -> SemanticIds:
        """Semantic IDs of the cold items that are not withdrawn, in the order of joining."""
        rows = self.rows_in_use
        return replace(
            self.ids,
            item_ids=self.ids.item_ids[rows],
            codes=self.ids.codes[rows],
            suffixes=self.ids.suffixes[rows],
        )

    def grow(self, warm: SemanticIds) -> SemanticIds:
        """The IDs of the warm items with those of the cold items in use behind them.

        Raises:
            ArtifactMismatchError: the table was made beside other warm IDs.
        """
        if warm.fingerprint != self.warm_ids:
            raise ArtifactMismatchError(
                f"The cold items' semantic IDs were given beside other warm ones (fingerprint "
                f"{self.warm_ids}, now {warm.fingerprint}). {_AGAIN}"
            )
        return warm.grown(self.in_use(), self.warm_withdrawn)

    def appended(
        self,
        warm: SemanticIds,
        item_ids: Sequence[str],
        codes: np.ndarray,
        text_hashes: Sequence[str],
        version: int,
    ) -> "ColdTable":
        """The table with rows for n items, each with the next free suffix of its codes.

        Args:
            warm: the warm items' IDs.
            item_ids: n ids; an item that has rows already gets another.
            codes: int32[n, levels], by the frozen codebooks.
            text_hashes: n hashes.
            version: that they join in.

        Raises:
            ArtifactMismatchError: the rows before do not have the suffixes that they were given.
        """
        before = np.concatenate([warm.codes, self.ids.codes])
        # Rows are never taken away, so the next free suffix of some codes is their number of rows.
        suffixes = resolve_collisions(np.concatenate([before, codes]))
        if not np.array_equal(
            suffixes[: len(before)], np.concatenate([warm.suffixes, self.ids.suffixes])
        ):
            raise ArtifactMismatchError(
                f"The warm and cold semantic IDs have suffixes that do not go together. {_AGAIN}"
            )
        return replace(
            self,
            ids=replace(
                self.ids,
                item_ids=np.concatenate([self.ids.item_ids, np.array(item_ids, dtype=object)]),
                codes=np.concatenate([self.ids.codes, codes]).astype(np.int32),
                suffixes=np.concatenate([self.ids.suffixes, suffixes[len(before) :]]),
            ),
            text_hashes=np.concatenate([self.text_hashes, np.array(text_hashes, dtype=object)]),
            versions=np.concatenate([self.versions, np.full(len(codes), version, np.int32)]),
            withdrawn_in=np.concatenate([self.withdrawn_in, np.full(len(codes), IN_USE, np.int32)]),
        )

    def to_table(self) -> "pa.Table":
        """The `cold_semantic_ids` artifact: one row an ID; the history is in the metadata.

        Columns: item_id, codes, suffix, text_hash, version int32, joined_at timestamp,
        withdrawn_in int32 (`IN_USE`: not withdrawn).
        """
        return with_metadata(
            self._rows(),
            {
                "codebook_sizes": list(self.ids.codebook_sizes),
                "warm_ids": self.warm_ids,
                "warm_withdrawn": list(self.warm_withdrawn),
                "history": [asdict(version) for version in self.history],
            },
        )

    @classmethod
    def from_table(cls, table: "pa.Table") -> "ColdTable":
        """Read the `cold_semantic_ids` artifact.

        Raises:
            ArtifactError: the table lacks a column or its metadata.
        """
        stored = metadata_of(table)
        missing = {"text_hash", "version", "withdrawn_in"} - set(table.column_names)
        missing |= {"warm_ids", "warm_withdrawn", "history"} - set(stored)
        if missing:
            raise ArtifactError(
                f"This table of cold items' semantic IDs has no {min(missing)!r}. Was it written "
                f"by another version or program? {_AGAIN}"
            )
        return cls(
            ids=SemanticIds.from_table(table),
            text_hashes=table["text_hash"].to_numpy().astype(object),
            versions=table["version"].to_numpy().astype(np.int32),
            withdrawn_in=table["withdrawn_in"].to_numpy().astype(np.int32),
            warm_ids=stored["warm_ids"],
            warm_withdrawn=tuple(stored["warm_withdrawn"]),
            history=tuple(Version(**version) for version in stored["history"]),
        )

    def _rows(self) -> "pa.Table":
        import pyarrow as pa

        created = {version.version: version.created_at for version in self.history}
        joined = [datetime.fromisoformat(created[version]) for version in self.versions.tolist()]
        columns: dict[str, Any] = {
            "text_hash": pa.array(self.text_hashes, pa.string()),
            "version": pa.array(self.versions, pa.int32()),
            "joined_at": pa.array(joined, pa.timestamp("s", tz="UTC")),
            "withdrawn_in": pa.array(self.withdrawn_in, pa.int32()),
        }
        table = self.ids.to_rows()
        for name, column in columns.items():
            table = table.append_column(name, column)
        return table


def timestamp(now: datetime) -> str:
    """ISO 8601 in UTC to the second, as in `Version.created_at`."""
    return now.astimezone(timezone.utc).isoformat(timespec="seconds")


def grown_semantic_ids(warm: SemanticIds, cold_table: "pa.Table") -> SemanticIds:
    """Warm items' IDs with those of the cold items in use behind them.

    Args:
        warm: of the `semantic_ids` artifact.
        cold_table: the `cold_semantic_ids` artifact.

    Raises:
        ArtifactError: it cannot be read.
        ArtifactMismatchError: it was made beside other warm IDs.
    """
    return ColdTable.from_table(cold_table).grow(warm)
