"""A store with a trained generator and some cold items, for the tests of this folder."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tiger_pipeline.catalog.sequences import SPLITS, UserSequences
from tiger_pipeline.configuration.settings import Settings, parse_settings
from tiger_pipeline.encoding.embedding_table import list_array_of
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.semantic_ids.cold_table import ColdTable, Version
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import write_table
from tiger_pipeline.workflows.training import train_or_reuse
from tiger_pipeline_tests.evaluation.synthetic import random_sequences
from tiger_pipeline_tests.generation.catalogs import random_text_embeddings

N_ITEMS, N_COLD = 30, 6
SEQUENCES = random_sequences(n_users=50, n_items=N_ITEMS, seed=3)
ITEM_IDS = [*SEQUENCES.item_ids.tolist(), *(f"new{k}" for k in range(N_COLD))]
PARTITION = ("shop", "plain")


def settings_of(kind: str = "decoder", **generator: object) -> Settings:
    network = {"kind": kind, "blocks": 1, "width": 16, "heads": 2, **generator}
    values = {
        "data": {"source": {"path": "."}},
        "model": {
            "generator": network,
            "quantizer": {"kind": "residual_kmeans", "levels": 2, "codewords": 4, "iterations": 3},
        },
        "training": {"max_epochs": 2, "validate_every": 1, "learning_rate": 0.02},
        "evaluation": {
            "cutoffs": [5, 10],
            "recommended_items": 10,
            "beams": 20,
            "epsilon": 0.2,
            "cold_start": {"held_out_share": 0.2},
        },
    }
    return parse_settings(values, "a test")


def embeddings() -> pa.Table:
    vectors = random_text_embeddings(1, len(ITEM_IDS))
    return pa.table({"item_id": ITEM_IDS, "embedding": list_array_of(vectors)})


def interactions_of(sequences: UserSequences) -> pa.Table:
    owner = np.repeat(np.arange(sequences.n_users), np.diff(sequences.offsets))
    return pa.table(
        {
            "user_id": sequences.user_ids[owner].astype(str),
            "item_id": sequences.item_ids[sequences.items].astype(str),
            "split": np.array(SPLITS)[sequences.splits],
        }
    )


def make_store(root: Path, kind: str) -> ArtifactStore:
    store = ArtifactStore(root)
    codes = np.random.default_rng(0).integers(4, size=(len(ITEM_IDS), 3)).astype(np.int32)
    warm = SemanticIds.from_codes(ITEM_IDS[:N_ITEMS], codes[:N_ITEMS], (4, 4, 4))
    version = Version(1, "2024-05-01T00:00:00+00:00", N_COLD, 0, 0, 0, N_COLD, 0, warm.fingerprint)
    cold = ColdTable.empty(warm, [version]).appended(
        warm, ITEM_IDS[N_ITEMS:], codes[N_ITEMS:], ["hash"] * N_COLD, version=1
    )
    titles = [f"Book {k}" for k in range(len(ITEM_IDS))]
    items = pa.table({"item_id": ITEM_IDS, "title": titles, "brand": ["Press", "Yard"] * 18})
    write_table(store.table("items", "shop"), items)
    write_table(store.table("item_embeddings", "shop"), embeddings())
    write_table(store.table("interactions", "shop"), interactions_of(SEQUENCES))
    write_table(store.table("semantic_ids", *PARTITION), warm.to_table("fingerprint"))
    write_table(store.table("cold_semantic_ids", *PARTITION), cold.to_table())
    train_or_reuse(
        settings_of(kind),
        warm,
        embeddings(),
        SEQUENCES,
        store.directory("generator", *PARTITION),
        store.resumable("generator", *PARTITION),
        retrain=False,
        progress=NoProgress(),
    )
    return store
