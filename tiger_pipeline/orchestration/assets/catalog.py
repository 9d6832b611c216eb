"""Catalog stage: items and interactions of a dataset, and the text of each item."""

import dagster as dg

from tiger_pipeline.orchestration.checks import blocking_check, check_result
from tiger_pipeline.orchestration.partitions import dataset_partitions
from tiger_pipeline.orchestration.previews import rejected_preview
from tiger_pipeline.orchestration.progress import progress_of
from tiger_pipeline.orchestration.resources import SettingsResource
from tiger_pipeline.orchestration.results import table_result
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "catalog"


@dg.multi_asset(
    name="catalog",
    partitions_def=dataset_partitions,
    outs={
        "items": dg.AssetOut(
            description="Items after filtering, one row an item, in the source's order; then "
            "those that arrived in its folder incoming/.",
            group_name=GROUP,
            kinds={"pandas", "parquet"},
            code_version="2",
            io_manager_key="tables",
        ),
        "interactions": dg.AssetOut(
            description="Users' interactions in order, each in the split train, valid or test.",
            group_name=GROUP,
            kinds={"pandas", "parquet"},
            code_version="1",
            io_manager_key="tables",
        ),
    },
    check_specs=[
        blocking_check("items_are_sound", "items", "Ids are unique and not empty, counts right."),
        blocking_check(
            "interactions_are_sound",
            "interactions",
            "Every item is known; a user's rows are together, in order, train before targets.",
        ),
        blocking_check(
            "no_target_in_training",
            "interactions",
            "No validation or test target is among what a model may be trained on.",
        ),
    ],
)
@clear_user_errors
def catalog(context: dg.AssetExecutionContext, settings: SettingsResource):
    """Read a dataset's raw files, filter them (k-core, rating), order and split the histories.

    Broken rows of incoming files are set aside into incoming/rejected/ with their reasons.
    """
    from pathlib import Path

    from tiger_pipeline.catalog import checks
    from tiger_pipeline.catalog.build import build_catalog
    from tiger_pipeline.catalog.rejected import write_rejected

    config = settings.for_dataset(context.partition_key).data
    built = build_catalog(config, Path.cwd(), progress_of(context))
    items, interactions, arrivals = built.items, built.interactions, built.arrivals
    assert arrivals is not None
    rejected_files = write_rejected(arrivals.folder, arrivals.rejected)
    if arrivals.rejected:
        context.log.warning(
            f"{len(arrivals.rejected):,} incoming rows were rejected; see "
            + ", ".join(map(str, rejected_files))
        )
    item_problems = checks.check_items(items, interactions)
    interaction_problems = checks.check_interactions(interactions, items)
    target_problems = checks.check_no_target_in_training(
        interactions, items, repeats_allowed=config.duplicates == "keep"
    )
    return (
        table_result(
            items,
            asset_key="items",
            metadata={
                **built.counts.as_dict(),
                **arrivals.counts(),
                "rejected_rows_first": rejected_preview(arrivals.rejected),
            },
            check_results=[check_result("items_are_sound", "items", item_problems)],
        ),
        table_result(
            interactions,
            asset_key="interactions",
            metadata=built.counts.as_dict(),
            check_results=[
                check_result("interactions_are_sound", "interactions", interaction_problems),
                check_result("no_target_in_training", "interactions", target_problems),
            ],
        ),
    )


@dg.asset(
    partitions_def=dataset_partitions,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="1",
    io_manager_key="tables",
)
@clear_user_errors
def item_texts(context: dg.AssetExecutionContext, items, settings: SettingsResource):
    """The text of each item: its fields in the configured order, one `FIELD: value.` line each."""
    from tiger_pipeline.catalog.item_text import build_item_texts

    config = settings.for_dataset(context.partition_key).data.text
    return table_result(build_item_texts(items, config), metadata={"fields": list(config.fields)})
