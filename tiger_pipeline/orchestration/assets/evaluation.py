"""Evaluation stage: baselines, metrics with their report, recommendations, the leaderboard."""

import dagster as dg

from tiger_pipeline.orchestration.partitions import (
    VARIANT_NAMES,
    dataset_and_variant,
    dataset_partitions,
    dataset_variant_partitions,
)
from tiger_pipeline.orchestration.previews import metrics_preview, picture_preview
from tiger_pipeline.orchestration.progress import progress_of
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.results import table_result
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "evaluation"


@dg.asset(partitions_def=dataset_partitions, group_name=GROUP, kinds={"numpy"}, code_version="1")
@clear_user_errors
def baseline_metrics(
    context: dg.AssetExecutionContext,
    warm_item_embeddings,
    interactions,
    settings: SettingsResource,
    store: StoreResource,
):
    """Popularity, random ranking and item-transition kNN, measured as the generators are."""
    from tiger_pipeline.catalog.sequences import UserSequences
    from tiger_pipeline.workflows.baselines import measure_baselines

    dataset = context.partition_key
    directory = store.open().directory("baseline_metrics", dataset)
    metrics = measure_baselines(
        settings.for_dataset(dataset),
        UserSequences.from_table(interactions, warm_item_embeddings["item_id"].to_pylist()),
        directory,
        progress_of(context),
    )
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(directory)),
            "test": metrics_preview(metrics),
        }
    )


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"pytorch", "html"},
    code_version="1",
    pool="gpu",
    deps=["generator", "codebooks", "baseline_metrics"],
)
@clear_user_errors
def metrics(
    context: dg.AssetExecutionContext,
    semantic_ids,
    interactions,
    settings: SettingsResource,
    store: StoreResource,
):
    """HR and NDCG of the generator beside the baselines, and the report that shows them."""
    from tiger_pipeline.catalog.sequences import UserSequences
    from tiger_pipeline.evaluation.result_tables import MetricValues
    from tiger_pipeline.semantic_ids.table import SemanticIds
    from tiger_pipeline.workflows.measuring import VariantArtifacts, measure_variant

    partition = dataset_and_variant(context)
    artifacts = store.open()
    directory = artifacts.directory("metrics", *partition)
    ids = SemanticIds.from_table(semantic_ids)
    measured = measure_variant(
        *partition,
        settings.for_variant(partition),
        ids,
        UserSequences.from_table(interactions, ids.item_ids.tolist()),
        VariantArtifacts(
            codebooks=artifacts.directory("codebooks", *partition),
            generator=artifacts.directory("generator", *partition),
            baselines=artifacts.directory("baseline_metrics", partition.dataset),
        ),
        directory,
        progress_of(context),
    )
    values = MetricValues(measured)
    headline = {
        f"{split}_{metric}_at_10": values.get(partition.variant, split, "masked", metric, 10)
        for split in values.splits
        for metric in ("ndcg", "hit_rate")
    }
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.url((directory / "report.html").as_uri()),
            "path": dg.MetadataValue.path(str(directory)),
            **{name: value for name, value in headline.items() if value is not None},
            "test": metrics_preview(measured),
            **{
                path.stem: picture_preview(path.read_bytes(), path.stem)
                for path in sorted(directory.glob("*.png"))
            },
        }
    )


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"pytorch", "parquet"},
    code_version="1",
    io_manager_key="tables",
    pool="gpu",
    deps=["generator"],
)
@clear_user_errors
def recommendations(
    context: dg.AssetExecutionContext,
    semantic_ids,
    interactions,
    settings: SettingsResource,
    store: StoreResource,
):
    """The next items of every user, after all of their interactions; none they have had before."""
    from tiger_pipeline.catalog.sequences import UserSequences
    from tiger_pipeline.semantic_ids.table import SemanticIds
    from tiger_pipeline.workflows.recommender import load_recommenders, recommend_to_all

    partition = dataset_and_variant(context)
    config = settings.for_variant(partition).evaluation
    ids = SemanticIds.from_table(semantic_ids)
    sequences = UserSequences.from_table(interactions, ids.item_ids.tolist())
    directory = store.open().directory("generator", *partition)
    recommender, _ = load_recommenders(directory, ids, sequences, config)
    return table_result(
        recommend_to_all(recommender, sequences, config.recommended_items, progress_of(context))
    )


@dg.asset(
    partitions_def=dataset_partitions,
    group_name=GROUP,
    kinds={"markdown", "parquet"},
    code_version="1",
    deps=["metrics", "baseline_metrics"],
)
@clear_user_errors
def leaderboard(context: dg.AssetExecutionContext, store: StoreResource):
    """All finished variants of a dataset and the baselines, the best NDCG@10 first."""
    from tiger_pipeline.workflows.comparing import compare_variants

    dataset = context.partition_key
    artifacts = store.open()
    directory = artifacts.directory("leaderboard", dataset)
    reports = {name: artifacts.directory("metrics", dataset, name) for name in VARIANT_NAMES}
    compared = compare_variants(
        {name: report for name, report in reports.items() if report.is_dir()},
        artifacts.directory("baseline_metrics", dataset),
        directory,
    )
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(directory)),
            "variants": compared.variants,
            "table": dg.MetadataValue.md(compared.markdown),
            "picture": picture_preview(compared.picture, "Leaderboard"),
        }
    )
