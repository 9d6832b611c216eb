"""Train a variant's generator on what the store holds, by itself or with other processes.

    python -m tiger_pipeline.workers.train DATASET VARIANT
    torchrun --standalone --nproc-per-node 2 -m tiger_pipeline.workers.train DATASET VARIANT
    accelerate launch --num_processes 2 -m tiger_pipeline.workers.train DATASET VARIANT

It writes what the asset `generator` writes, and goes on where a killed training was.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tiger_pipeline.configuration.locations import store_root
from tiger_pipeline.configuration.overrides import add_overrides
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.progress import Progress
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table
from tiger_pipeline.workers.process import run_worker

if TYPE_CHECKING:
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

    store, partition = ArtifactStore(store_root()), (options.dataset, options.variant)
    settings = Presets().settings(*partition, options.overrides)
    semantic_ids = SemanticIds.from_table(read_table(store.table("semantic_ids", *partition)))
    interactions = read_table(store.table("interactions", options.dataset))
    kept = train_or_reuse(
        settings,
        semantic_ids,
        read_table(store.table("warm_item_embeddings", options.dataset)),
        UserSequences.from_table(interactions, semantic_ids.item_ids.tolist()),
        store.directory("generator", *partition),
        store.resumable("generator", *partition),
        options.retrain,
        progress,
        group,
    )
    return {"kept_as_it_was": kept}


if __name__ == "__main__":
    sys.exit(main())
