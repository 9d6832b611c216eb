"""Quantization stage: codebooks fitted on the warm items' embeddings, and interactions if asked."""

from pathlib import Path

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
    kinds={"faiss", "torch"},
    code_version="1",
    deps=["interactions"],
    pool="gpu",
)
@clear_user_errors
def codebooks(
    context: dg.AssetExecutionContext,
    warm_item_embeddings,
    settings: SettingsResource,
    store: StoreResource,
):
    """A quantizer: the codebooks of all levels, how well they fit and how evenly they are used.

    A training that was killed goes on a few seconds before the kill.
    """
    from tiger_pipeline.evaluation.plots import code_use
    from tiger_pipeline.workflows.codebooks import (
        fetch_initial_codebooks,
        fit_codebooks,
        read_training,
    )

    partition = dataset_and_variant(context)
    config = settings.for_variant(partition).model.quantizer
    artifacts = store.open()
    fetch_initial_codebooks(artifacts, config)
    directory = artifacts.directory("codebooks", *partition)
    with artifacts.resuming("codebooks", *partition) as work_directory:
        facts = fit_codebooks(
            config,
            warm_item_embeddings,
            directory,
            work_directory,
            progress_of(context),
            read_training(artifacts, partition.dataset, config, warm_item_embeddings),
        )
        artifacts.publish(directory)
    levels = facts.statistics["levels"]
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(artifacts.location(directory)),
            "configuration": config.model_dump(),
            "seconds": round(facts.seconds, 2),
            **{f"perplexity_level_{row['level']}": row["perplexity"] for row in levels},
            **{f"utilization_level_{row['level']}": row["utilization"] for row in levels},
            "relative_reconstruction_error": levels[-1]["relative_reconstruction_error"],
            **facts.statistics["collisions"],
            "code_use": picture_preview(
                code_use(facts.statistics["code_counts"], [row["perplexity"] for row in levels]),
                "Use of each codeword",
            ),
            **_training(directory),
        }
    )


def _training(directory: Path) -> dict[str, dg.MetadataValue]:
    """Metadata on how the quantizer in `directory` was trained, if it was."""
    from tiger_pipeline.evaluation.plots import quantizer_curves
    from tiger_pipeline.quantization.quantizer import read_training_history

    history = read_training_history(directory)
    if history is None:
        return {}
    picture = quantizer_curves(history.rows, history.best_epoch)
    return {
        "best_epoch": dg.MetadataValue.int(history.best_epoch),
        "training": picture_preview(picture, "Training of the quantizer"),
    }
