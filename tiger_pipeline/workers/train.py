"""Train a variant's generator on what the store holds, by itself or with other processes.

    python -m tiger_pipeline.workers.train DATASET VARIANT
    torchrun --standalone --nproc-per-node 2 -m tiger_pipeline.workers.train DATASET VARIANT
    accelerate launch --num_processes 2 -m tiger_pipeline.workers.train DATASET VARIANT

It writes what the asset `generator` writes, and goes on where a killed training was.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiger_pipeline.configuration.locations import open_store
from tiger_pipeline.configuration.overrides import add_overrides
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table
from tiger_pipeline.workers.process import run_worker

if TYPE_CHECKING:
    import pyarrow as pa

    from tiger_pipeline.generation.process_group import ProcessGroup


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, see `run_worker`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("variant")
    add_overrides(parser)
    parser.add_argument(
        "--retrain", action="store_true", help="even if the finished generator fits"
    )
    options = parser.parse_args(arguments)
    return run_worker(lambda group, progress: _train(options, group, progress))


def _train(
    options: argparse.Namespace, group: "ProcessGroup", progress: Progress
) -> dict[str, Any]:
    from tiger_pipeline.catalog.sequences import UserSequences
    from tiger_pipeline.semantic_ids.table import SemanticIds
    from tiger_pipeline.workflows.training import train_or_reuse

    store, dataset, variant = open_store(), options.dataset, options.variant
    settings = Presets().settings(dataset, variant, options.overrides)
    semantic_ids = SemanticIds.from_table(_read(store, "semantic_ids", dataset, variant))
    directory = store.fetch(store.directory("generator", dataset, variant))
    with _state(store, group, dataset, variant) as work_directory:
        kept = train_or_reuse(
            settings,
            semantic_ids,
            _read(store, "warm_item_embeddings", dataset),
            UserSequences.from_table(
                _read(store, "interactions", dataset), semantic_ids.item_ids.tolist()
            ),
            directory,
            work_directory,
            options.retrain,
            progress,
            group,
        )
        if group.is_first:
            store.publish(directory)
    return {"kept_as_it_was": kept}


def _read(store: ArtifactStore, asset: str, *partition: str) -> "pa.Table":
    return read_table(store.fetch(store.table(asset, *partition)))


def _state(
    store: ArtifactStore, group: "ProcessGroup", *partition: str
) -> AbstractContextManager[Path]:
    """The folder of the training's state, which the first process alone writes."""
    if group.is_first:
        return store.resuming("generator", *partition)
    return nullcontext(store.resume(store.resumable("generator", *partition)))


if __name__ == "__main__":
    sys.exit(main())
