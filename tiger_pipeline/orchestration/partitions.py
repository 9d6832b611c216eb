"""Partitions: one dimension is the dataset, the other the variant (quantizer and generator).

Keys are the names of the preset files, so a new YAML file becomes a partition when the code
location is reloaded.
"""

from typing import NamedTuple

import dagster as dg

from tiger_pipeline.configuration.presets import Presets

_presets = Presets()

DATASET_NAMES = list(_presets.datasets())
VARIANT_NAMES = list(_presets.variants())

dataset_partitions = dg.StaticPartitionsDefinition(DATASET_NAMES)
variant_partitions = dg.StaticPartitionsDefinition(VARIANT_NAMES)
dataset_variant_partitions = dg.MultiPartitionsDefinition(
    {"dataset": dataset_partitions, "variant": variant_partitions}
)


class DatasetVariant(NamedTuple):
    """The two names behind a key such as `demo|kmeans_points_10`."""

    dataset: str
    variant: str


def dataset_and_variant(context: dg.AssetExecutionContext) -> DatasetVariant:
    """The partition of a dataset × variant asset's run."""
    keys = context.partition_key
    assert isinstance(keys, dg.MultiPartitionKey)
    return DatasetVariant(keys.keys_by_dimension["dataset"], keys.keys_by_dimension["variant"])
