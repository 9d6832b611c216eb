"""Tables between assets: one parquet file a partition, in the artifact store."""

from pathlib import Path

import dagster as dg

from tiger_pipeline.orchestration.resources import StoreResource
from tiger_pipeline.storage.store import ArtifactStore


class ParquetIOManager(dg.ConfigurableIOManager):
    """Keeps `pyarrow.Table` outputs as `<store>/<asset>/<dataset>[/<variant>].parquet`.

    Unlike the default IO manager's files they survive a run without DAGSTER_HOME, are written
    whole or not at all, and can be opened by any tool.
    """

    store: dg.ResourceDependency[StoreResource]

    def handle_output(self, context: dg.OutputContext, obj) -> None:
        """Write the table and record its path, size and first rows."""
        from tiger_pipeline.storage.tables import write_table

        store = self.store.open()
        path = _path(store, context.asset_key, context.asset_partition_key)
        write_table(path, obj)
        store.publish(path)
        context.add_output_metadata(
            {
                "path": dg.MetadataValue.path(store.location(path)),
                "dagster/row_count": obj.num_rows,
                "size_MB": round(path.stat().st_size / 1e6, 3),
            }
        )

    def load_input(self, context: dg.InputContext):
        """Read the table that the upstream partition wrote."""
        from tiger_pipeline.storage.tables import read_table

        store = self.store.open()
        path = _path(store, context.asset_key, context.asset_partition_key)
        return read_table(store.fetch(path))


def _path(store: ArtifactStore, asset_key: dg.AssetKey, partition_key: str) -> Path:
    return store.table(asset_key.path[-1], *partition_key.split("|"))
