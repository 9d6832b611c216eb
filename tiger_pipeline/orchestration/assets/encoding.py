"""Encoding stage: item texts to embeddings, through the content-addressed cache."""

import dagster as dg

from tiger_pipeline.orchestration.checks import blocking_check, check_result
from tiger_pipeline.orchestration.partitions import dataset_partitions
from tiger_pipeline.orchestration.processes import ProcessesResource
from tiger_pipeline.orchestration.progress import progress_of
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.results import table_result
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "encoding"


@dg.asset(
    partitions_def=dataset_partitions,
    group_name=GROUP,
    kinds={"huggingface", "parquet"},
    code_version="1",
    io_manager_key="tables",
    pool="gpu",
    check_specs=[
        blocking_check(
            "embeddings_are_sound",
            "item_embeddings",
            "One row an item in the catalog's order; no NaN, no infinity, one dimension.",
        )
    ],
)
@clear_user_errors
def item_embeddings(
    context: dg.AssetExecutionContext,
    item_texts,
    settings: SettingsResource,
    store: StoreResource,
    processes: ProcessesResource,
):
    """Text embeddings of all items. Only texts that the cache does not hold are encoded."""
    from tiger_pipeline.encoding.embed import embed_item_texts
    from tiger_pipeline.encoding.embedding_table import check_embeddings
    from tiger_pipeline.encoding.model_source import encoder_fingerprint

    config = settings.for_dataset(context.partition_key).model.encoder
    artifacts = store.open()
    encoded_before = 0
    with artifacts.sharing_embeddings(encoder_fingerprint(config)) as cache:
        if not processes.in_step:
            arguments = [context.partition_key, *settings.arguments]
            encoded_before = processes.run(context, "encode", arguments, artifacts)["encoded"]
        result = embed_item_texts(item_texts, config, cache, progress=progress_of(context))
    encoded, cached = encoded_before + result.encoded, result.cached - encoded_before
    context.log.info(f"Encoded {encoded:,} texts; {cached:,} were in the cache already.")
    problems = check_embeddings(result.table, item_texts["item_id"].to_pylist())
    return table_result(
        result.table,
        metadata={
            "texts_encoded": encoded,
            "texts_from_cache": cached,
            "seconds": round(result.seconds, 2),
            "encoder_fingerprint": result.encoder_fingerprint,
        },
        check_results=[check_result("embeddings_are_sound", "item_embeddings", problems)],
    )


@dg.asset(
    partitions_def=dataset_partitions,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="1",
    io_manager_key="tables",
    check_specs=[
        blocking_check(
            "every_interaction_has_an_embedding",
            "warm_item_embeddings",
            "Every item of an interaction is here, so that each will have a semantic ID.",
        )
    ],
)
@clear_user_errors
def warm_item_embeddings(context: dg.AssetExecutionContext, item_embeddings, items, interactions):
    """Embeddings of the items that have interactions.

    A barrier: a new item without interactions changes `item_embeddings` but not this table, whose
    data version is its content, so codebooks and generator stay fresh.
    """
    from tiger_pipeline.encoding.embedding_table import check_coverage, warm_embeddings

    warm = warm_embeddings(item_embeddings, items)
    problems = check_coverage(warm, interactions)
    return table_result(
        warm,
        metadata={"items_without_interactions": len(item_embeddings) - len(warm)},
        check_results=[
            check_result("every_interaction_has_an_embedding", "warm_item_embeddings", problems)
        ],
    )
