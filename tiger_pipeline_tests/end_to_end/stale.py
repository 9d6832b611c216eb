"""Write which assets of a dataset and a variant Dagster holds for stale, as JSON.

Arguments: dataset, variant, the file to write. Asks Dagster's own resolver, which is not public:
only it knows what the UI would show.
"""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView, TemporalContext
from dagster._core.definitions.data_version import CachingStaleStatusResolver

from tiger_pipeline.definitions import defs

ASSETS = (
    "warm_item_embeddings",
    "codebooks",
    "semantic_ids",
    "cold_semantic_ids",
    "generator",
)


def stale(dataset: str, variant: str) -> dict[str, str]:
    graph = defs.resolve_asset_graph()
    with dg.DagsterInstance.get() as instance:
        view = AssetGraphView(
            temporal_context=TemporalContext(
                effective_dt=datetime.now(timezone.utc), last_event_id=None
            ),
            instance=instance,
            asset_graph=graph,
        )
        resolver = CachingStaleStatusResolver(instance, graph, view)
        both = dg.MultiPartitionKey({"dataset": dataset, "variant": variant})
        return {
            name: resolver.get_status(
                dg.AssetKey(name), dataset if name == "warm_item_embeddings" else both
            ).value
            for name in ASSETS
        }


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(stale(*sys.argv[1:3])))
