"""Measure a variant's generator beside the baselines, and write its report."""

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.evaluation.protocol import EvaluationResult, evaluate
from tiger_pipeline.evaluation.report import write_report
from tiger_pipeline.evaluation.report_inputs import ReportInputs
from tiger_pipeline.evaluation.result_tables import codes_alone_row
from tiger_pipeline.generation.checkpoint import load_training_history, read_description
from tiger_pipeline.generation.recommendations import Recommender
from tiger_pipeline.progress import Progress
from tiger_pipeline.semantic_ids.collisions import group_sizes
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.atomic import atomic_directory
from tiger_pipeline.workflows.baseline_tables import BaselineFolders, Baselines, read_baselines
from tiger_pipeline.workflows.codebooks import CodebookFacts, read_codebook_facts
from tiger_pipeline.workflows.recommender import load_recommenders

_REPORTED_VERSIONS = ("tiger-pipeline", "dagster", "torch", "transformers", "sentence-transformers")


@dataclass(frozen=True)
class VariantArtifacts:
    """The folders of what a report is made from."""

    codebooks: Path
    generator: Path
    baselines: BaselineFolders


def measure_variant(
    dataset: str,
    variant: str,
    settings: Settings,
    semantic_ids: SemanticIds,
    sequences: UserSequences,
    artifacts: VariantArtifacts,
    directory: Path,
    progress: Progress,
) -> pa.Table:
    """Evaluate the generator on every split and write the report into `directory`.

    A generator with a dense head is measured as a whole, in the row of the variant's own name,
    and by its codes alone, in a row `codes_alone_row(variant)`.

    Args:
        dataset: name.
        variant: name; also of the generator's rows in the metrics.
        settings: of both.
        semantic_ids: that the generator was trained on.
        sequences: of all users.
        artifacts: where the other inputs are.
        directory: replaced as a whole.
        progress: where to report.

    Returns:
        The long metrics table of the generator and the baselines.

    Raises:
        ArtifactError: an input is missing or damaged.
        ArtifactMismatchError: inputs that do not belong together.
    """
    whole, codes_alone = load_recommenders(
        artifacts.generator,
        semantic_ids,
        sequences.training,
        settings.evaluation,
        rank_pools=settings.evaluation.sampled_negatives is not None,
    )
    baselines = read_baselines(artifacts.baselines, progress)
    rows: dict[str, Recommender] = {variant: whole}
    if codes_alone is not None:
        rows[codes_alone_row(variant)] = codes_alone
    results = [
        evaluate(
            recommender,
            sequences,
            settings.evaluation,
            name,
            settings.data.split,
            progress,
        )
        for name, recommender in rows.items()
    ]
    inputs = _report_inputs(dataset, variant, settings, semantic_ids, artifacts, baselines, results)
    with atomic_directory(directory) as scratch:
        write_report(scratch, inputs)
    return inputs.metrics


def _report_inputs(
    dataset: str,
    variant: str,
    settings: Settings,
    semantic_ids: SemanticIds,
    artifacts: VariantArtifacts,
    baselines: Baselines,
    results: Sequence[EvaluationResult],
) -> ReportInputs:
    generator = read_description(artifacts.generator)
    codebooks = read_codebook_facts(artifacts.codebooks)
    return ReportInputs(
        dataset=dataset,
        variant=variant,
        metrics=pa.concat_tables([*(result.metrics for result in results), baselines.metrics]),
        ranks=pa.concat_tables([*(result.ranks for result in results), baselines.ranks]),
        targets_already_seen=results[0].targets_already_seen,
        untrained_targets=results[0].untrained_targets,
        history=load_training_history(artifacts.generator),
        best_epoch=generator["best_epoch"],
        parameters=generator["parameters"],
        training_seconds=generator["seconds"],
        seed=settings.training.seed,
        code_statistics=codebooks.statistics,
        group_sizes=group_sizes(semantic_ids.codes),
        settings=settings.model_dump(mode="json"),
        facts=_facts(semantic_ids, generator, codebooks, results[0]),
    )


def _facts(
    semantic_ids: SemanticIds,
    generator: dict[str, Any],
    codebooks: CodebookFacts,
    result: EvaluationResult,
) -> dict[str, dict[str, Any]]:
    return {
        "Seconds": {
            "codebooks": round(codebooks.seconds, 1),
            "training": round(generator["seconds"], 1),
            **{f"evaluation, {part}": round(value, 1) for part, value in result.seconds.items()},
        },
        "Fingerprints": {
            "embeddings": codebooks.embeddings_fingerprint,
            "semantic IDs": semantic_ids.fingerprint,
            "training": generator["training_fingerprint"],
        },
        "Versions": {
            "Python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _REPORTED_VERSIONS},
        },
    }
