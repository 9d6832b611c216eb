"""The semantic-ID table: the codes of every item, and the suffix that makes them its own.

A generator is trained on the table of the warm items. Items that come later (cold ones) are rows
behind those, see `SemanticIds.grown`. What the generator learned stays as it was: which levels
there are, how many suffixes, and which items need one. A cold item's suffix makes its ID unique,
but no generator has seen it: the item is reached by its codes alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError, InputError
from tiger_pipeline.semantic_ids.collisions import group_sizes, resolve_collisions
from tiger_pipeline.storage.fingerprint import fingerprint_json, fingerprint_table
from tiger_pipeline.storage.tables import metadata_of, with_metadata

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class SemanticIds:
    """Semantic IDs of a catalog, in its order.

    Attributes:
        item_ids: object[n_items].
        codes: int32[n_items, levels].
        suffixes: int32[n_items]; 0 for the first (or only) item of a tuple of codes.
        codebook_sizes: number of codewords of each level.
        n_cold: the last so many rows are cold items: a generator that was trained on the rows
            before knows nothing of them.
        withdrawn: ids of items that have an ID, but must not be recommended any more.
    """

    item_ids: np.ndarray
    codes: np.ndarray
    suffixes: np.ndarray
    codebook_sizes: tuple[int, ...]
    n_cold: int = 0
    withdrawn: frozenset[str] = frozenset()

    @classmethod
    def from_codes(
        cls,
        item_ids: Sequence[str] | np.ndarray,
        codes: np.ndarray,
        codebook_sizes: tuple[int, ...],
    ) -> "SemanticIds":
        """Give each item the suffix that tells it from the items with the same codes.

        Args:
            item_ids: n ids in the catalog's order.
            codes: int32[n, levels], as a quantizer assigns them.
            codebook_sizes: number of codewords of each level.

        Raises:
            InputError: ids and codes differ in number, or codes and sizes in levels.
        """
        if codes.shape != (len(item_ids), len(codebook_sizes)):
            raise InputError(
                f"{len(item_ids)} items with {len(codebook_sizes)} levels need codes of shape "
                f"{(len(item_ids), len(codebook_sizes))}, not {codes.shape}."
            )
        return cls(
            item_ids=np.asarray(item_ids, dtype=object),
            codes=codes.astype(np.int32),
            suffixes=resolve_collisions(codes),
            codebook_sizes=codebook_sizes,
        )

    @property
    def levels(self) -> int:
        """Codes an item has, the suffix not counted."""
        return len(self.codebook_sizes)

    @property
    def n_warm(self) -> int:
        """Rows that a generator can be trained on; the cold ones follow."""
        return len(self.item_ids) - self.n_cold

    @cached_property
    def warm(self) -> "SemanticIds":
        """The table that this one grew from: the warm items, all of them available."""
        if not self.n_cold and not self.withdrawn:
            return self
        rows = slice(self.n_warm)
        return SemanticIds(
            self.item_ids[rows], self.codes[rows], self.suffixes[rows], self.codebook_sizes
        )

    @property
    def is_cold(self) -> np.ndarray:
        """bool[n_items], True for the last `n_cold`."""
        return np.arange(len(self.item_ids)) >= self.n_warm

    @cached_property
    def is_available(self) -> np.ndarray:
        """bool[n_items], False for withdrawn items."""
        if not self.withdrawn:
            return np.ones(len(self.item_ids), dtype=bool)
        return np.array([item_id not in self.withdrawn for item_id in self.item_ids], dtype=bool)

    @cached_property
    def needs_suffix(self) -> np.ndarray:
        """bool[n_items], True for a warm item where another warm item has the same codes."""
        needs = np.zeros(len(self.item_ids), dtype=bool)
        needs[: self.n_warm] = group_sizes(self.codes[: self.n_warm]) > 1
        return needs

    @property
    def suffix_size(self) -> int:
        """Suffix tokens that a vocabulary needs: the largest of a warm item plus one, or 0."""
        if not self.needs_suffix.any():
            return 0
        return int(self.suffixes[: self.n_warm].max()) + 1

    @property
    def fingerprint(self) -> str:
        """Changes with any item, code, suffix or codebook size."""
        return fingerprint_json([fingerprint_table(self.to_rows()), self.codebook_sizes])

    def grown(self, cold: "SemanticIds", withdrawn: Collection[str] = ()) -> "SemanticIds":
        """This table of warm items with the rows of `cold` behind it; no row of it changes.

        Args:
            cold: semantic IDs of other items, by the same codebooks.
            withdrawn: ids of warm or cold items that are not available.

        Raises:
            ArtifactMismatchError: an item is in both tables, or the codebooks differ.
        """
        if cold.codebook_sizes != self.codebook_sizes:
            raise ArtifactMismatchError(
                f"The cold items have codes of codebooks {cold.codebook_sizes}, the warm ones of "
                f"{self.codebook_sizes}. Materialize the asset cold_semantic_ids again."
            )
        both = set(self.item_ids) & set(cold.item_ids)
        if both:
            raise ArtifactMismatchError(
                f"Item {min(both)!r} has a semantic ID as a warm item and another as a cold one. "
                "Materialize the asset cold_semantic_ids again."
            )
        return replace(
            self,
            item_ids=np.concatenate([self.item_ids, cold.item_ids]),
            codes=np.concatenate([self.codes, cold.codes]),
            suffixes=np.concatenate([self.suffixes, cold.suffixes]),
            n_cold=self.n_cold + len(cold.item_ids),
            withdrawn=self.withdrawn | frozenset(withdrawn),
        )

    def to_table(self, codebooks_fingerprint: str) -> "pa.Table":
        """The `semantic_ids` artifact: item_id, codes, suffix, one row an item.

        Args:
            codebooks_fingerprint: of the quantizer that assigned the codes; kept as metadata.
        """
        return with_metadata(
            self.to_rows(),
            {
                "codebook_sizes": list(self.codebook_sizes),
                "codebooks_fingerprint": codebooks_fingerprint,
            },
        )

    @classmethod
    def from_table(cls, table: "pa.Table") -> "SemanticIds":
        """Read the `semantic_ids` artifact.

        Raises:
            ArtifactError: the table lacks a column or the sizes of its codebooks.
        """
        sizes = metadata_of(table).get("codebook_sizes")
        missing = {"item_id", "codes", "suffix"} - set(table.column_names)
        if missing or not sizes:
            lacks = f"no column {min(missing)!r}" if missing else "no codebook sizes"
            raise ArtifactError(
                f"This table of semantic IDs has {lacks}. Was it written by another version or "
                "program? Materialize the asset semantic_ids again."
            )
        codes = table["codes"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        if len(codes) != len(table) * len(sizes):
            raise ArtifactError(
                f"This table of semantic IDs does not have the {len(sizes)} codes an item that its "
                "metadata promises. Materialize the asset semantic_ids again."
            )
        return cls(
            item_ids=np.asarray(table["item_id"].to_pylist(), dtype=object),
            codes=codes.reshape(len(table), len(sizes)).astype(np.int32),
            suffixes=table["suffix"].to_numpy().astype(np.int32),
            codebook_sizes=tuple(sizes),
        )

    def to_rows(self) -> "pa.Table":
        """item_id, codes, suffix, one row an item."""
        import pyarrow as pa

        codes = pa.FixedSizeListArray.from_arrays(pa.array(self.codes.ravel()), self.levels)
        return pa.table(
            {
                "item_id": pa.array(self.item_ids, pa.string()),
                "codes": codes,
                "suffix": pa.array(self.suffixes, pa.int32()),
            }
        )
