"""Encode the item texts of a dataset into the embedding cache: all of them, or one shard.

    python -m tiger_pipeline.workers.encode DATASET
    torchrun --standalone --nproc-per-node 2 -m tiger_pipeline.workers.encode DATASET
    python -m tiger_pipeline.workers.encode DATASET --shard 3 --of 8

Several processes divide a shard further. The asset `item_embeddings` finds all in the cache.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tiger_pipeline.configuration.locations import open_store
from tiger_pipeline.configuration.overrides import add_overrides
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.progress import Progress
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
    add_overrides(parser)
    parser.add_argument("--shard", type=int, default=0, help="from 0 (default: %(default)s)")
    parser.add_argument("--of", type=int, default=1, help="shards (default: %(default)s)")
    options = parser.parse_args(arguments)
    return run_worker(lambda group, progress: _encode(options, group, progress))


def _encode(
    options: argparse.Namespace, group: "ProcessGroup", progress: Progress
) -> dict[str, Any]:
    from tiger_pipeline.encoding.model_source import encoder_fingerprint
    from tiger_pipeline.encoding.shards import Shard, encode_shard

    store = open_store()
    config = Presets().dataset_settings(options.dataset, options.overrides).model.encoder
    texts = read_table(store.fetch(store.table("item_texts", options.dataset)))
    shard = Shard(options.shard, options.of).divided(group.rank, group.size)
    with store.sharing_embeddings(encoder_fingerprint(config)) as cache:
        encoded = encode_shard(texts, config, cache, shard, progress)
    encoded = group.total(encoded)
    progress.note(f"Encoded {encoded:,} texts.")
    return {"encoded": encoded}


if __name__ == "__main__":
    sys.exit(main())
