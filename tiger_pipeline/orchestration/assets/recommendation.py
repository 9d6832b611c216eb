"""Recommendation lists for users, from a trained generator and all items with a semantic ID."""

import dagster as dg

from tiger_pipeline.orchestration.partitions import dataset_and_variant, dataset_variant_partitions
from tiger_pipeline.orchestration.previews import picture_preview, recommendations_preview
from tiger_pipeline.orchestration.progress import progress_of
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.user_errors import clear_user_errors


class RecommendationRun(dg.Config):
    """Whom to recommend what to. Without any of it: to all users, anything they have not had."""

    users: list[str] = []
    """User ids; empty, without a file: all users."""
    users_file: str = ""
    """A text file with user ids, one a line."""
    available_items_file: str = ""
    """A text file with item ids, one a line: only these are recommended."""
    only: list[str] = []
    """`FIELD=TEXT` rules, such as `categories=Yarn`: at least one must hold for an item."""
    never: list[str] = []
    """`FIELD=TEXT` rules: none may hold."""


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name="evaluation",
    kinds={"pytorch", "parquet"},
    code_version="2",
    pool="gpu",
    deps=["generator", "semantic_ids", "cold_semantic_ids", "items", "interactions"],
)
@clear_user_errors
def recommendations(
    context: dg.AssetExecutionContext,
    config: RecommendationRun,
    settings: SettingsResource,
    store: StoreResource,
):
    """The next items of every user, after all of their interactions; none they have had before.

    At most the share `evaluation.epsilon` of a list are items that came after the generator was
    trained. The run's config chooses users and leaves out items.
    """
    from pathlib import Path

    from tiger_pipeline.workflows.item_filter import ItemFilter
    from tiger_pipeline.workflows.recommending import ListSettings, write_recommendations
    from tiger_pipeline.workflows.serving import load_recommender, read_sequences

    partition = dataset_and_variant(context)
    artifacts = store.open()
    available = config.available_items_file
    recommender = load_recommender(
        *partition,
        ItemFilter(Path(available) if available else None, config.only, config.never),
        artifacts,
        settings.for_variant(partition),
    )
    evaluation = recommender.settings.evaluation
    path = artifacts.table("recommendations", *partition)
    written = write_recommendations(
        path,
        recommender,
        read_sequences(artifacts, partition.dataset, recommender.catalog.semantic_ids),
        ListSettings(
            evaluation.recommended_items,
            evaluation.epsilon,
            config.users,
            Path(config.users_file) if config.users_file else None,
        ),
        progress_of(context),
    )
    artifacts.publish(path)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(artifacts.location(path)),
            "dagster/row_count": written.rows,
            "size_MB": round(path.stat().st_size / 1e6, 3),
            "users": written.users,
            "epsilon": evaluation.epsilon,
            "cold_start_items": recommender.catalog.semantic_ids.n_cold,
            "cold_start_rows": written.cold_rows,
            "first_lists": recommendations_preview(written.preview, recommender.catalog.title),
        }
    )


class ColdStartRun(dg.Config):
    """What may differ between two runs of the same settings."""

    retrain: bool = False
    """Train again even if the store has a generator of the same settings and inputs."""


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name="evaluation",
    kinds={"pytorch", "markdown"},
    code_version="1",
    pool="gpu",
)
@clear_user_errors
def cold_start_metrics(
    context: dg.AssetExecutionContext,
    config: ColdStartRun,
    warm_item_embeddings,
    interactions,
    settings: SettingsResource,
    store: StoreResource,
):
    """Recall and NDCG on items held out of training, by ε, against a kNN over text embeddings.

    Not part of `tiger run`, as it fits codebooks and trains a generator of its own, without 5% of
    the test items. A run that was killed goes on after its last whole epoch.
    """
    from tiger_pipeline.catalog.sequences import UserSequences
    from tiger_pipeline.workflows.codebooks import fetch_initial_codebooks
    from tiger_pipeline.workflows.cold_start import ColdStartFolders, measure_cold_start

    partition = dataset_and_variant(context)
    artifacts = store.open()
    directory = artifacts.directory("cold_start_metrics", *partition)
    model = artifacts.resume(artifacts.directory("cold_start_model", *partition))
    resolved = settings.for_variant(partition)
    fetch_initial_codebooks(artifacts, resolved.model.quantizer)
    with artifacts.resuming("cold_start_model", *partition) as work_directory:
        measured = measure_cold_start(
            *partition,
            resolved,
            warm_item_embeddings,
            UserSequences.from_table(interactions, warm_item_embeddings["item_id"].to_pylist()),
            ColdStartFolders(model, work_directory, report=directory),
            retrain=config.retrain,
            progress=progress_of(context),
        )
        artifacts.publish(model)
        artifacts.publish(directory)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(artifacts.location(directory)),
            **measured.report.facts,
            "generator_beats_knn_at_epsilon": measured.report.beats_knn_at,
            "curves": picture_preview(measured.picture, "Cold start"),
            "report": dg.MetadataValue.md(measured.markdown),
        }
    )
