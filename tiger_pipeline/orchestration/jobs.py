"""Jobs for the parts of the pipeline. One job takes one kind of partition, hence three.

The whole chain of a dataset and a variant is `tiger run`, the job `whole_pipeline`, or a backfill
over all assets.
"""

import dagster as dg

from tiger_pipeline.orchestration.assets import catalog, encoding, evaluation

prepare_dataset = dg.define_asset_job(
    "prepare_dataset",
    selection=dg.AssetSelection.groups(catalog.GROUP, encoding.GROUP)
    | dg.AssetSelection.assets(evaluation.baseline_metrics),
    description="Read, filter and encode a dataset, and measure the baselines on it.",
)

make_semantic_ids = dg.define_asset_job(
    "make_semantic_ids",
    selection=dg.AssetSelection.groups("quantization", "semantic_ids"),
    description="Fit codebooks and assign semantic IDs.",
)

train_and_evaluate = dg.define_asset_job(
    "train_and_evaluate",
    selection=dg.AssetSelection.assets("generator", "metrics", "recommendations"),
    description="Train a generator, measure it, and recommend.",
)

run_variant = dg.define_asset_job(
    "run_variant",
    selection=make_semantic_ids.selection | train_and_evaluate.selection,
    description="All that depends on a variant, from codebooks to report.",
)

add_items_to_catalog = dg.define_asset_job(
    "add_items_to_catalog",
    selection=dg.AssetSelection.groups(catalog.GROUP, encoding.GROUP),
    description="Read a dataset again and encode the texts that are new.",
)

add_items_to_variant = dg.define_asset_job(
    "add_items_to_variant",
    selection=dg.AssetSelection.assets("cold_semantic_ids"),
    description="Give new items semantic IDs by a variant's codebooks as they are.",
)

compare_variants = dg.define_asset_job(
    "compare_variants",
    selection=dg.AssetSelection.assets("leaderboard"),
    description="Gather all finished variants of a dataset.",
)
