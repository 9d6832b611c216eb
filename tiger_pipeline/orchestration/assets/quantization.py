"""Quantization stage: codebooks fitted on the embeddings of warm items."""

import dagster as dg

from tiger_pipeline.orchestration.partitions import dataset_and_variant, dataset_variant_partitions
from tiger_pipeline.orchestration.previews import picture_preview
from tiger_pipeline.orchestration.progress import progress_of
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "quantization"


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"faiss"},
    code_version="1",
    pool="gpu",
)
@clear_user_errors
def codebooks(
    context: dg.AssetExecutionContext,
    warm_item_embeddings,
    settings: SettingsResource,
    store: StoreResource,
):
    """A quantizer: the codebooks of all levels, how well they fit and how evenly they are used."""
    import time

    from tiger_pipeline.encoding.embedding_table import vectors_of
    from tiger_pipeline.evaluation.plots import code_use
    from tiger_pipeline.quantization.quantizer import fit_quantizer, save_quantizer
    from tiger_pipeline.quantization.statistics import code_statistics
    from tiger_pipeline.storage.fingerprint import fingerprint_table

    partition = dataset_and_variant(context)
    config = settings.for_variant(partition).model.quantizer
    vectors = vectors_of(warm_item_embeddings)
    started = time.monotonic()
    quantizer = fit_quantizer(config, vectors, progress_of(context))
    seconds = time.monotonic() - started
    statistics = code_statistics(quantizer, vectors, quantizer.assign(vectors))
    levels = statistics["levels"]
    directory = store.open().directory("codebooks", *partition)
    save_quantizer(
        directory,
        quantizer,
        {
            "embeddings_fingerprint": fingerprint_table(warm_item_embeddings),
            "statistics": statistics,
            "seconds": seconds,
        },
    )
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(directory)),
            "configuration": config.model_dump(),
            "seconds": round(seconds, 2),
            **{f"perplexity_level_{row['level']}": row["perplexity"] for row in levels},
            **{f"utilization_level_{row['level']}": row["utilization"] for row in levels},
            "relative_reconstruction_error": levels[-1]["relative_reconstruction_error"],
            **statistics["collisions"],
            "code_use": picture_preview(
                code_use(statistics["code_counts"], [row["perplexity"] for row in levels]),
                "Use of each codeword",
            ),
        }
    )
