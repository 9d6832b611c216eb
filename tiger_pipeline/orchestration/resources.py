"""Resources: where artifacts are stored and which settings a run follows."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from tiger_pipeline.configuration.locations import open_store
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.orchestration.lost_runs import locks_of
from tiger_pipeline.orchestration.partitions import DatasetVariant
from tiger_pipeline.storage.store import ArtifactStore


class StoreResource(dg.ConfigurableResource):
    """The artifact store: a folder or a URL; an empty root means what `TIGER_STORE` says."""

    root: str = ""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["StoreResource"]:
        """Count the run as alive while a step's process has the store.

        A step in a process of its own outlives a run's process that is killed, and goes on writing.
        """
        if context.instance is None or context.run is None:
            yield self
            return
        with locks_of(context.instance).hold(context.run.run_id):
            yield self

    def open(self) -> ArtifactStore:
        """The store, as the science sees it."""
        return open_store(self.root)


class SettingsResource(dg.ConfigurableResource):
    """The settings of a run: the dataset's and variant's presets, then `overrides`.

    One resource serves every asset of a run, so that an override reaches all stages alike.
    """

    overrides: list[str] = []
    """`section.key=value` strings, such as `training.max_epochs=3`."""

    @property
    def arguments(self) -> list[str]:
        """The overrides as options of a command line, see `configuration.overrides`."""
        return [argument for override in self.overrides for argument in ("--set", override)]

    def for_dataset(self, dataset: str) -> Settings:
        """Settings of the assets that are partitioned by dataset."""
        return Presets().dataset_settings(dataset, self.overrides)

    def for_variant(self, partition: DatasetVariant) -> Settings:
        """Settings of the assets that are partitioned by dataset × variant."""
        return Presets().settings(partition.dataset, partition.variant, self.overrides)
