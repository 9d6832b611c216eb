"""A finished generator of the artifact store, asked for recommendations by item ids.

```python
recommender = load_recommender("demo", "kmeans_points_100")
for item in recommender.recommend(["I0001", "I0002"], top_k=5):
    print(item.title)
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.configuration.locations import open_store
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.errors import ArtifactError, InputError
from tiger_pipeline.generation.cold_share import ColdStartRecommender
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations
from tiger_pipeline.semantic_ids.cold_table import grown_semantic_ids
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table
from tiger_pipeline.workflows.item_filter import ItemFilter
from tiger_pipeline.workflows.recommender import load_searching_recommenders
from tiger_pipeline.workflows.suggestions import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class RecommendedItem:
    """One place of a list.

    Attributes:
        rank: from 1.
        item_id: as in the catalog.
        title: its title, or the item id where it has none.
        score: log-probability of the semantic ID, or the fused score.
        is_cold_start: the generator was trained before this item came.
    """

    rank: int
    item_id: str
    title: str
    score: float
    is_cold_start: bool


@dataclass(frozen=True)
class Catalog:
    """The items that a generator knows.

    Attributes:
        semantic_ids: of the warm items, then of the cold ones.
        items: the `items` artifact, for titles and filters.
    """

    semantic_ids: SemanticIds
    items: "pa.Table"

    @cached_property
    def index(self) -> dict[str, int]:
        """Item id → index."""
        return {item: index for index, item in enumerate(self.semantic_ids.item_ids)}

    @cached_property
    def titles(self) -> dict[str, str]:
        """Item id → title, of the items that have one."""
        if "title" not in self.items.column_names:
            return {}
        pairs = zip(self.items["item_id"].to_pylist(), self.items["title"].to_pylist(), strict=True)
        return {item: title for item, title in pairs if title}

    def title(self, item_id: str) -> str:
        """The item's title, or its id where it has none."""
        return self.titles.get(item_id, item_id)

    def indices_of(self, item_ids: Sequence[str]) -> list[int]:
        """Indices of some items.

        Raises:
            InputError: an item is unknown; the message names near ones.
        """
        unknown = [item for item in item_ids if item not in self.index]
        if unknown:
            raise InputError(
                f"Item {unknown[0]!r} is not among the {len(self.index):,} items that have a "
                f"semantic ID.{did_you_mean(unknown[0], self.index)}{self._by_title(unknown[0])}"
            )
        return [self.index[item] for item in item_ids]

    def _by_title(self, text: str) -> str:
        wanted = text.lower()
        found = next((i for i, title in self.titles.items() if wanted in title.lower()), None)
        return "" if found is None else f" Its title fits {found!r} ({self.titles[found]})."


class LoadedRecommender:
    """A generator with its catalog, ready to answer.

    Attributes:
        catalog: the items that it knows.
        settings: of the dataset and the variant.
    """

    def __init__(
        self, recommender: ColdStartRecommender, catalog: Catalog, settings: Settings
    ) -> None:
        self.catalog = catalog
        self.settings = settings
        self._recommender = recommender

    def recommend(
        self, history: Sequence[str], top_k: int = 10, epsilon: float | None = None
    ) -> list[RecommendedItem]:
        """What comes next after a history; nothing that is in it.

        Args:
            history: item ids, oldest first; may be empty.
            top_k: length of the list.
            epsilon: largest share of cold-start items; None: `evaluation.epsilon`.

        Raises:
            InputError: an item is unknown.
            ConfigurationError: more items than the search is wide, or ε is not within 0…1.
        """
        return self.recommend_batch([history], top_k, epsilon)[0]

    def recommend_batch(
        self,
        histories: Sequence[Sequence[str]],
        top_k: int = 10,
        epsilon: float | None = None,
    ) -> list[list[RecommendedItem]]:
        """The same for several histories at once; see `recommend`."""
        items = [self.catalog.indices_of(history) for history in histories]
        lengths = [len(history) for history in items]
        found = self.rank(
            Histories(
                users=np.arange(len(items), dtype=np.int32),
                offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
                items=np.array([item for history in items for item in history], dtype=np.int32),
            ),
            top_k,
            epsilon,
        )
        return [
            self._named(row[row != NO_ITEM], scores)
            for row, scores in zip(found.items, found.logp, strict=True)
        ]

    def rank(self, histories: Histories, top_k: int, epsilon: float | None) -> Recommendations:
        """The same by item indices; see `recommend`."""
        if epsilon is None:
            epsilon = self.settings.evaluation.epsilon
        apart = self._recommender.recommend_apart(histories, top_k, exclude_seen=True)
        return apart.limited(top_k, epsilon)

    def _named(self, items: np.ndarray, scores: np.ndarray) -> list[RecommendedItem]:
        ids = self.catalog.semantic_ids
        named = []
        for rank, (item, score) in enumerate(zip(items, scores, strict=False), start=1):
            item_id = ids.item_ids[item]
            title = self.catalog.title(item_id)
            is_cold = bool(item >= ids.n_warm)
            named.append(RecommendedItem(rank, item_id, title, float(score), is_cold))
        return named


def load_recommender(
    dataset: str,
    variant: str,
    item_filter: ItemFilter | None = None,
    store: ArtifactStore | None = None,
    settings: Settings | None = None,
) -> LoadedRecommender:
    """Read the generator of a dataset and a variant, with all items that have a semantic ID.

    Args:
        dataset: name.
        variant: name.
        item_filter: which items may be recommended; None: all.
        store: default: `TIGER_STORE`.
        settings: of both; default: their presets.

    Raises:
        ConfigurationError: there is no such dataset or variant.
        ArtifactError: an artifact is missing or damaged.
        ArtifactMismatchError: artifacts that do not belong together.
        InputError: the filter leaves no item.
    """
    settings = settings or Presets().settings(dataset, variant)
    store = store or open_store()
    _check_finished(store, dataset, variant)
    catalog = read_catalog(store, dataset, variant)
    ids = catalog.semantic_ids
    embeddings = None
    if ids.n_cold and settings.model.generator.reads_text:
        path = store.fetch(store.table("item_embeddings", dataset))
        embeddings = read_table(path, ["item_id", "embedding"])
    allowed = item_filter.allowed(ids.item_ids, catalog.items) if item_filter else None
    recommender, _ = load_searching_recommenders(
        store.fetch(store.directory("generator", dataset, variant)),
        ids,
        lambda: read_sequences(store, dataset, ids).training(),
        settings.evaluation,
        embeddings,
        allowed,
    )
    return LoadedRecommender(recommender, catalog, settings)


def read_catalog(store: ArtifactStore, dataset: str, variant: str) -> Catalog:
    """All items with a semantic ID: the warm ones, and the cold ones where there is such a table.

    Raises:
        ArtifactError: a table is missing or damaged.
        ArtifactMismatchError: the cold items belong to another table of warm ones.
    """
    warm = store.fetch(store.table("semantic_ids", dataset, variant))
    ids = SemanticIds.from_table(read_table(warm))
    cold = store.fetch(store.table("cold_semantic_ids", dataset, variant))
    if cold.is_file():
        ids = grown_semantic_ids(ids, read_table(cold))
    return Catalog(ids, read_table(store.fetch(store.table("items", dataset))))


def read_sequences(store: ArtifactStore, dataset: str, semantic_ids: SemanticIds) -> UserSequences:
    """The interactions of a dataset, with the items numbered as in `semantic_ids`.

    Raises:
        ArtifactError: the table is missing or damaged.
        InputError: an interaction's item has no semantic ID.
    """
    columns = ["user_id", "item_id", "split"]
    interactions = read_table(store.fetch(store.table("interactions", dataset)), columns)
    return UserSequences.from_table(interactions, semantic_ids.item_ids.tolist())


def _check_finished(store: ArtifactStore, dataset: str, variant: str) -> None:
    needed: list[Path] = [
        store.table("items", dataset),
        store.table("semantic_ids", dataset, variant),
        store.directory("generator", dataset, variant),
    ]
    missing = [path for path in needed if not store.fetch(path).exists()]
    if missing:
        finished = sorted(map(" ".join, store.partitions("generator", dimensions=2)))
        others = f" Finished in this store: {', '.join(finished)}." if finished else ""
        raise ArtifactError(
            f"{dataset} {variant} is not finished: {store.location(missing[0])} does not exist. "
            f"Make it with `tiger run {dataset} {variant}`.{others}"
        )
