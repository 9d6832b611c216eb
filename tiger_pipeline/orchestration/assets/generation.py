"""Generation stage: a generator of semantic IDs, trained on the training interactions."""

import dagster as dg

from tiger_pipeline.orchestration.partitions import dataset_and_variant, dataset_variant_partitions
from tiger_pipeline.orchestration.previews import picture_preview
from tiger_pipeline.orchestration.processes import ProcessesResource
from tiger_pipeline.orchestration.progress import progress_of
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "generation"


class GeneratorRun(dg.Config):
    """What may differ between two runs of the same settings."""

    retrain: bool = False
    """Train again even if the store has a generator of the same settings and inputs."""


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"pytorch"},
    code_version="1",
    pool="gpu",
)
@clear_user_errors
def generator(
    context: dg.AssetExecutionContext,
    config: GeneratorRun,
    semantic_ids,
    warm_item_embeddings,
    interactions,
    settings: SettingsResource,
    store: StoreResource,
    processes: ProcessesResource,
):
    """A trained checkpoint: the weights of the epoch with the best validation NDCG@10.

    A run that was killed goes on after its last whole epoch. A finished generator of the same
    settings and inputs is kept as it is, unless the run asks to retrain.
    """
    from tiger_pipeline.catalog.sequences import UserSequences
    from tiger_pipeline.evaluation.plots import training_curves
    from tiger_pipeline.generation.checkpoint import load_training_history, read_description
    from tiger_pipeline.semantic_ids.table import SemanticIds
    from tiger_pipeline.workflows.training import train_or_reuse

    partition = dataset_and_variant(context)
    artifacts = store.open()
    directory = artifacts.fetch(artifacts.directory("generator", *partition))
    with artifacts.resuming("generator", *partition) as work_directory:
        if processes.in_step:
            ids = SemanticIds.from_table(semantic_ids)
            kept = train_or_reuse(
                settings.for_variant(partition),
                ids,
                warm_item_embeddings,
                UserSequences.from_table(interactions, ids.item_ids.tolist()),
                directory,
                work_directory,
                retrain=config.retrain,
                progress=progress_of(context),
            )
        else:
            retrain = ["--retrain"] if config.retrain else []
            arguments = [*partition, *settings.arguments, *retrain]
            kept = processes.run(context, "train", arguments, artifacts)["kept_as_it_was"]
        artifacts.publish(directory)
    description = read_description(directory)
    fusion = description.get("fusion")
    history = load_training_history(directory)
    best = next(row for row in history if row["epoch"] == description["best_epoch"])
    return dg.MaterializeResult(
        data_version=dg.DataVersion(description["weights_fingerprint"]),
        metadata={
            "path": dg.MetadataValue.path(artifacts.location(directory)),
            "kept_as_it_was": kept,
            "parameters": description["parameters"],
            "best_epoch": description["best_epoch"],
            "epochs": len(history),
            "validation_ndcg_at_10": best["valid_ndcg@10"],
            **({"fusion": fusion} if fusion else {}),
            "training_loss": best["train_loss"],
            "seconds": round(description["seconds"], 1),
            "curves": picture_preview(
                training_curves(history, description["best_epoch"]), "Training"
            ),
        },
    )
