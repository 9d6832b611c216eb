"""Evaluation stage: baselines, metrics with their report, the leaderboard."""

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
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "evaluation"


@dg.asset(partitions_def=dataset_partitions, group_name=GROUP, kinds={"numpy"}, code_version="2")
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
    artifacts = store.open()
    directory = artifacts.directory("baseline_metrics", dataset)
    metrics = measure_baselines(
        settings.for_dataset(dataset),
        UserSequences.from_table(interactions, warm_item_embeddings["item_id"].to_pylist()),
        directory,
        progress_of(context),
    )
    artifacts.publish(directory)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(artifacts.location(directory)),
            "values": metrics_preview(metrics),
        }
    )


class SasrecRun(dg.Config):
    """What may differ between two runs of the same settings."""

    retrain: bool = False
    """Train again even if the store has a network of the same settings and inputs."""


@dg.asset(
    partitions_def=dataset_partitions,
    group_name=GROUP,
    kinds={"pytorch"},
    code_version="1",
    pool="gpu",
)
@clear_user_errors
def sasrec_baseline(
    context: dg.AssetExecutionContext,
    config: SasrecRun,
    warm_item_embeddings,
    interactions,
    settings: SettingsResource,
    store: StoreResource,
):
    """SASRec with full-softmax cross-entropy, trained and measured as the generators are.

    Not part of `tiger run`, as it takes minutes. Where it was materialized, reports and the
    leaderboard show it. A run that was killed goes on after its last whole epoch.
    """
    from tiger_pipeline.catalog.sequences import UserSequences
    from tiger_pipeline.evaluation.baselines.sasrec_checkpoint import read_sasrec_description
    from tiger_pipeline.evaluation.plots import training_curves
    from tiger_pipeline.workflows.sasrec import measure_sasrec

    dataset = context.partition_key
    artifacts = store.open()
    directory = artifacts.fetch(artifacts.directory("sasrec_baseline", dataset))
    with artifacts.resuming("sasrec_baseline", dataset) as work_directory:
        metrics = measure_sasrec(
            settings.for_dataset(dataset),
            UserSequences.from_table(interactions, warm_item_embeddings["item_id"].to_pylist()),
            directory,
            work_directory,
            retrain=config.retrain,
            progress=progress_of(context),
        )
        artifacts.publish(directory)
    description = read_sasrec_description(directory)
    history, best_epoch = description["history"], description["best_epoch"]
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(artifacts.location(directory)),
            "parameters": description["parameters"],
            "best_epoch": best_epoch,
            "epochs": len(history),
            "seconds": round(description["seconds"], 1),
            "values": metrics_preview(metrics),
            "curves": picture_preview(training_curves(history, best_epoch), "Training"),
        }
    )


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"pytorch", "html"},
    code_version="2",
    pool="gpu",
    # Not sasrec_baseline, which is optional: the UI would warn of every launch without it.
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
    from tiger_pipeline.workflows.baseline_tables import BaselineFolders
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
            codebooks=artifacts.fetch(artifacts.directory("codebooks", *partition)),
            generator=artifacts.fetch(artifacts.directory("generator", *partition)),
            baselines=BaselineFolders.of(artifacts, partition.dataset),
        ),
        directory,
        progress_of(context),
    )
    artifacts.publish(directory)
    values = MetricValues(measured)
    headline = {
        f"{split}_{metric}_at_10": values.get(partition.variant, split, "masked", metric, 10)
        for split in values.splits
        for metric in ("ndcg", "hit_rate")
    }
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.url(artifacts.link(directory, "report.html")),
            "path": dg.MetadataValue.path(artifacts.location(directory)),
            **{name: value for name, value in headline.items() if value is not None},
            "values": metrics_preview(measured, partition.variant),
            **{
                path.stem: picture_preview(path.read_bytes(), path.stem)
                for path in sorted(directory.glob("*.png"))
            },
        }
    )


@dg.asset(
    partitions_def=dataset_partitions,
    group_name=GROUP,
    kinds={"markdown", "parquet"},
    code_version="1",
    deps=["metrics", "baseline_metrics", "sasrec_baseline"],
)
@clear_user_errors
def leaderboard(context: dg.AssetExecutionContext, store: StoreResource):
    """All finished variants of a dataset and the baselines, the best NDCG@10 first.

    Variants that differ in nothing but seeds share a row: mean and standard deviation.
    """
    from tiger_pipeline.workflows.baseline_tables import BaselineFolders
    from tiger_pipeline.workflows.comparing import compare_variants
    from tiger_pipeline.workflows.finished_runs import report_folders

    dataset = context.partition_key
    artifacts = store.open()
    directory = artifacts.directory("leaderboard", dataset)
    compared = compare_variants(
        report_folders(artifacts, dataset, VARIANT_NAMES),
        BaselineFolders.of(artifacts, dataset),
        directory,
        progress_of(context),
    )
    artifacts.publish(directory)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(artifacts.location(directory)),
            "variants": compared.variants,
            "table": dg.MetadataValue.md(compared.markdown),
            "picture": picture_preview(compared.picture, "Leaderboard"),
        }
    )
