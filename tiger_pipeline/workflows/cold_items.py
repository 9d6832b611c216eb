"""Give the items that came after the codebooks their semantic IDs; move none that exists."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.encoding.embedding_table import vectors_of_items
from tiger_pipeline.errors import ArtifactError, ArtifactMismatchError
from tiger_pipeline.quantization.drift import CodebookFit, measure_fit, squared_errors
from tiger_pipeline.quantization.quantizer import Quantizer, load_quantizer
from tiger_pipeline.semantic_ids.cold_table import IN_USE, ColdTable, Version, timestamp
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.fingerprint import fingerprint_files
from tiger_pipeline.storage.tables import metadata_of, read_table
from tiger_pipeline.workflows.codebooks import read_codebook_facts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ChangedText:
    """An item whose text is not that from which its semantic ID was made.

    Attributes:
        item_id: the item.
        is_cold: whether it can get a new ID without new codebooks.
        codes: that it has.
        codes_now: that its text would get now; the same means that nothing is lost.
    """

    item_id: str
    is_cold: bool
    codes: tuple[int, ...]
    codes_now: tuple[int, ...]


@dataclass(frozen=True)
class CatalogNow:
    """The catalog as it is, beside the warm items' semantic IDs.

    Attributes:
        semantic_ids: the `semantic_ids` artifact.
        items: the `items` artifact.
        embeddings: the `item_embeddings` artifact, of the same items.
        text_fields: fields that make an item's text.
    """

    semantic_ids: "pa.Table"
    items: "pa.Table"
    embeddings: "pa.Table"
    text_fields: Sequence[str]

    @cached_property
    def warm(self) -> SemanticIds:
        """The warm items' IDs."""
        return SemanticIds.from_table(self.semantic_ids)

    @cached_property
    def text_hash_of(self) -> dict[str, str]:
        """Item id → hash of its present text."""
        columns = (self.embeddings[name].to_pylist() for name in ("item_id", "text_hash"))
        return dict(zip(*columns, strict=True))

    @cached_property
    def withdrawn(self) -> set[str]:
        """Ids of items that are in the catalog, but must not be recommended."""
        return set(self.items["item_id"].filter(self.items["is_withdrawn"]).to_pylist())

    @cached_property
    def cold_item_ids(self) -> list[str]:
        """Items that are to have cold IDs: not warm, not withdrawn, with a text."""
        return [item_id for item_id in self._not_warm if item_id not in self.items_without_text]

    @cached_property
    def items_without_text(self) -> set[str]:
        """Those that would be cold items if they had a text."""
        import pyarrow.compute as pc

        empty = pc.equal(pc.utf8_trim_whitespace(self.items[self.text_fields[0]]), "")
        for name in self.text_fields[1:]:
            empty = pc.and_(empty, pc.equal(pc.utf8_trim_whitespace(self.items[name]), ""))
        return set(self.items["item_id"].filter(empty).to_pylist()).intersection(self._not_warm)

    @cached_property
    def _not_warm(self) -> list[str]:
        left_out = self.withdrawn.union(self.warm.item_ids)
        return [item for item in self.items["item_id"].to_pylist() if item not in left_out]

    def vectors(self, item_ids: Sequence[str]) -> np.ndarray:
        """Embeddings float32[n, d] of some items."""
        return vectors_of_items(self.embeddings, item_ids)


@dataclass(frozen=True)
class Growth:
    """A table of cold items' IDs after a run.

    Attributes:
        table: the new version, or the one before where nothing changed.
        version: what is new; None where nothing is.
        changed_texts: items whose texts have changed, still with the IDs that they had.
        fit: how all cold items in use fit the codebooks; None without any.
    """

    table: ColdTable
    version: Version | None
    changed_texts: list[ChangedText]
    fit: CodebookFit | None


def read_cold_table(path: Path) -> ColdTable | None:
    """The table that an earlier run wrote to `path`; None if none did.

    Raises:
        ArtifactError: the file is damaged.
    """
    return ColdTable.from_table(read_table(path)) if path.exists() else None


def grow_cold_table(
    catalog: CatalogNow,
    earlier: ColdTable | None,
    codebooks: Path,
    now: datetime,
    reassign_changed_texts: bool = False,
) -> Growth:
    """Append a version in which every cold item of the catalog has a semantic ID.

    Only items without an ID are looked at by the quantizer. A withdrawn item, or one that has
    vanished from the catalog, keeps its ID reserved. Where nothing changed, neither does the table.

    Args:
        catalog: the present catalog.
        earlier: the table of the last run; one beside other warm IDs is begun anew.
        codebooks: folder of the frozen codebooks.
        now: time of the run, with a time zone.
        reassign_changed_texts: give cold items with a changed text a new ID; the old one stays
            reserved.

    Raises:
        ArtifactError: the codebooks are missing or damaged, or `semantic_ids` is of another
            version.
        ArtifactMismatchError: the warm items' IDs were made by other codebooks.
    """
    quantizer = _codebooks_of(catalog, codebooks)
    before = _continued(catalog.warm, earlier)
    number = before.history[-1].version + 1 if before.history else 1
    changed = _changed_texts(catalog, before, quantizer)
    reassigned = [text.item_id for text in changed if text.is_cold and reassign_changed_texts]
    table, version = _next_version(catalog, before, quantizer, reassigned, number, now)
    return Growth(
        table=table,
        version=version,
        changed_texts=[text for text in changed if text.item_id not in set(reassigned)],
        fit=_fit(catalog, table, quantizer, codebooks),
    )


def _codebooks_of(catalog: CatalogNow, codebooks: Path) -> Quantizer:
    quantizer = load_quantizer(codebooks)
    made_by = metadata_of(catalog.semantic_ids).get("codebooks_fingerprint")
    if made_by != fingerprint_files(sorted(codebooks.iterdir())):
        raise ArtifactMismatchError(
            f"The warm items' semantic IDs were not made by the codebooks in {codebooks}, which "
            "were fitted again since. Materialize the asset semantic_ids again."
        )
    if "text_hash" not in catalog.semantic_ids.column_names:
        raise ArtifactError(
            "The semantic IDs do not tell from which texts they were made: they are of an older "
            "version. Materialize the asset semantic_ids again."
        )
    return quantizer


def _continued(warm: SemanticIds, earlier: ColdTable | None) -> ColdTable:
    if earlier is not None and earlier.warm_ids == warm.fingerprint:
        return earlier
    return ColdTable.empty(warm, earlier.history if earlier else ())


def _changed_texts(
    catalog: CatalogNow, table: ColdTable, quantizer: Quantizer
) -> list[ChangedText]:
    rows = table.rows_in_use
    hashes = catalog.semantic_ids["text_hash"].to_pylist()
    known = [
        *zip(catalog.warm.item_ids, hashes, catalog.warm.codes, strict=True),
        *zip(table.ids.item_ids[rows], table.text_hashes[rows], table.ids.codes[rows], strict=True),
    ]
    now = catalog.text_hash_of
    changed = [
        (item_id, codes)
        for item_id, made_from, codes in known
        if now.get(item_id, made_from) != made_from
    ]
    if not changed:
        return []
    codes_now = quantizer.assign(catalog.vectors([item_id for item_id, _ in changed]))
    warm = set(catalog.warm.item_ids)
    return [
        ChangedText(item_id, item_id not in warm, tuple(codes.tolist()), tuple(current.tolist()))
        for (item_id, codes), current in zip(changed, codes_now, strict=True)
    ]


def _next_version(
    catalog: CatalogNow,
    before: ColdTable,
    quantizer: Quantizer,
    reassigned: list[str],
    number: int,
    now: datetime,
) -> tuple[ColdTable, Version | None]:
    """The table after the run, and what is new in it; the same table and None if nothing is."""
    latest = before.latest_rows
    known = set(before.ids.item_ids)
    wanted = set(catalog.cold_item_ids)
    is_wanted = np.array([item in wanted for item in before.ids.item_ids[latest]], dtype=bool)
    was_in_use = before.withdrawn_in[latest] == IN_USE
    leaving, returning = latest[was_in_use & ~is_wanted], latest[~was_in_use & is_wanted]
    joining = [item_id for item_id in catalog.cold_item_ids if item_id not in known]
    warm_withdrawn = tuple(sorted(catalog.withdrawn.intersection(catalog.warm.item_ids)))

    withdrawn_in = before.withdrawn_in.copy()
    withdrawn_in[leaving], withdrawn_in[returning] = number, IN_USE
    table = replace(before, withdrawn_in=withdrawn_in, warm_withdrawn=warm_withdrawn)
    added = joining + [item_id for item_id in reassigned if item_id in wanted]
    if added:
        codes = quantizer.assign(catalog.vectors(added))
        hashes = [catalog.text_hash_of[item_id] for item_id in added]
        table = table.appended(catalog.warm, added, codes, hashes, number)
    nothing_new = not (added or len(leaving) or len(returning))
    if nothing_new and warm_withdrawn == before.warm_withdrawn and before.history:
        return before, None
    version = Version(
        version=number,
        created_at=timestamp(now),
        joined=len(joining),
        reassigned=len(added) - len(joining),
        withdrawn=len(leaving),
        returned=len(returning),
        cold_items=len(table.rows_in_use),
        warm_items_withdrawn=len(warm_withdrawn),
        warm_ids=table.warm_ids,
    )
    return replace(table, history=(*before.history, version)), version


def _fit(
    catalog: CatalogNow, table: ColdTable, quantizer: Quantizer, codebooks: Path
) -> CodebookFit | None:
    cold = table.in_use()
    if not len(cold.item_ids):
        return None
    facts = read_codebook_facts(codebooks)
    return measure_fit(
        squared_errors(quantizer, catalog.vectors(cold.item_ids.tolist()), cold.codes),
        cold.codes,
        cold.suffixes > 0,
        facts.error_percentiles,
        facts.statistics["code_counts"],
        facts.statistics["collisions"]["collision_rate"],
    )
