"""The study's sweeps: one setting varied, everything downstream of it made anew and measured."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.errors import ArtifactError, ConfigurationError
from tiger_pipeline.evaluation.protocol import evaluate, validation_sample
from tiger_pipeline.evaluation.result_tables import MetricValues
from tiger_pipeline.generation.checkpoint import load_generator, read_description
from tiger_pipeline.generation.invalid_beams import invalid_beam_share
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.config import QuantizerConfig
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline.storage.atomic import atomic_file
from tiger_pipeline.storage.fingerprint import fingerprint_json, fingerprint_table
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table, write_table
from tiger_pipeline.workflows.codebooks import (
    assign_semantic_ids,
    fetch_initial_codebooks,
    fit_codebooks,
    interactions_fingerprint,
    read_codebook_facts,
)
from tiger_pipeline.workflows.recommender import load_recommenders
from tiger_pipeline.workflows.training import train_or_reuse

if TYPE_CHECKING:
    import pyarrow as pa

_POINT, _POINTS = "point.json", "points.parquet"


@dataclass(frozen=True)
class Sweep:
    """One setting to vary.

    Attributes:
        setting: dotted key.
        values: that it takes by default, ascending.
        variant: that is varied by default.
        question: what the sweep is to answer.
        panels: by title of a panel of the picture, the measured columns drawn in it.
        correlated: two columns whose rank correlation over the points is reported, or None.
    """

    setting: str
    values: tuple[float, ...]
    variant: str
    question: str
    panels: dict[str, tuple[str, ...]]
    correlated: tuple[str, str] | None = None


_ACCURACY = {"NDCG@10": ("valid_ndcg@10", "test_ndcg@10")}
_CODES = {"Perplexity": ("perplexity",), "Colliding items": ("colliding_items",)}

SWEEPS = {
    "commitment_weight": Sweep(
        "model.quantizer.commitment_weight",
        (0.05, 0.1, 0.25, 0.5, 1, 2),
        "rqvae_ste",
        "Does the weight of the commitment loss matter?",
        {**_CODES, **_ACCURACY},
    ),
    "generator_blocks": Sweep(
        "model.generator.blocks",
        (1, 2, 3, 4, 5, 6, 7, 8),
        "kmeans_points_100",
        "How deep must the generator be to write codes that exist?",
        {"Invalid beams of an unconstrained search": ("invalid_beam_share",), **_ACCURACY},
        ("generator_blocks", "invalid_beam_share"),
    ),
    "quantizer_epochs": Sweep(
        "model.quantizer.epochs",
        (5, 10, 25, 50, 100, 200, 400),
        "rqvae_ste",
        "Do longer training and a higher perplexity of the codes recommend better?",
        {**_CODES, **_ACCURACY},
        ("perplexity", "test_ndcg@10"),
    ),
    "generator_epochs": Sweep(
        "training.max_epochs",
        (2, 5, 10, 20, 40, 80),
        "kmeans_points_100",
        "Does longer training of the generator help on test as it does on validation?",
        {**_ACCURACY, "HR@10": ("valid_hit_rate@10", "test_hit_rate@10")},
        ("valid_ndcg@10", "test_ndcg@10"),
    ),
}
"""By name, also that of the column with the setting's values."""


def find_sweep(name: str) -> Sweep:
    """The sweep of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in SWEEPS:
        raise ConfigurationError(f"There is no sweep {name!r}. Known: {', '.join(SWEEPS)}.")
    return SWEEPS[name]


class _Inputs:
    """What every point of a sweep is made from."""

    def __init__(self, store: ArtifactStore, dataset: str) -> None:
        self.embeddings = read_table(store.fetch(store.table("warm_item_embeddings", dataset)))
        interactions = read_table(store.fetch(store.table("interactions", dataset)))
        item_ids = self.embeddings["item_id"].to_pylist()
        self.sequences = UserSequences.from_table(interactions, item_ids)
        self.fingerprints = [fingerprint_table(self.embeddings), fingerprint_table(interactions)]


def run_sweep(
    name: str,
    dataset: str,
    variant: str,
    values: Sequence[float],
    settings_of: Callable[[str], Settings],
    store: ArtifactStore,
    progress: Progress,
) -> "pa.Table":
    """Measure every point that is not finished yet; the store's `sweeps` folder keeps them.

    A point that is interrupted goes on where it was; one whose settings and inputs are unchanged
    is kept. Codebooks are fitted once for all points that share them.

    Args:
        name: a key of `SWEEPS`.
        dataset: name; its `warm_item_embeddings` and `interactions` are read from `store`.
        variant: name.
        values: of the setting.
        settings_of: settings of a point from its override, such as `training.max_epochs=5`.
        store: with the dataset's artifacts.
        progress: where to report.

    Returns:
        One row a point, by value, also written to `points.parquet`: the setting's value (column
        `name`), perplexity (geometric mean of the levels), colliding_items, valid_ndcg@10,
        valid_hit_rate@10, test_ndcg@10, test_hit_rate@10 (seen items masked; null where not
        evaluated), invalid_beam_share, parameters, best_epoch, seconds (of training).

    Raises:
        TigerError: a setting that the variant does not have, an input that is missing, and as
            the stages themselves.
    """
    import pyarrow as pa

    if not values:
        raise ConfigurationError("A sweep needs at least one value.")
    ascending = sorted(set(values))
    overrides = {value: f"{SWEEPS[name].setting}={value:g}" for value in ascending}
    settings = {value: settings_of(override) for value, override in overrides.items()}
    inputs = _Inputs(store, dataset)
    directory = store.resume(store.directory("sweeps", name, dataset, variant))
    for point in settings.values():
        fetch_initial_codebooks(store, point.model.quantizer)
    rows = []
    for number, value in enumerate(ascending, start=1):
        progress.note(f"Point {number} of {len(ascending)}: {overrides[value]}")
        measured = _point(settings[value], inputs, directory, _folder_name(value), progress)
        store.publish(directory)
        rows.append({name: float(value), **measured})
    points = pa.Table.from_pylist(rows)
    write_table(directory / _POINTS, points)
    store.publish(directory)
    return points


def _folder_name(value: float) -> str:
    return f"{value:g}".replace(".", "_").replace("-", "minus_").replace("+", "")


def _point(
    settings: Settings, inputs: _Inputs, directory: Path, folder: str, progress: Progress
) -> dict[str, Any]:
    """What was measured at one point, now or before."""
    fingerprint = fingerprint_json([settings.model_dump(exclude={"data"}), inputs.fingerprints])
    path = directory / folder / _POINT
    kept = _read_point(path)
    if kept.get("fingerprint") == fingerprint:
        progress.note(f"{path.parent} is finished: it is kept.")
        return kept["measured"]
    measured = _measure(settings, inputs, directory, path.parent, progress)
    with atomic_file(path) as scratch:
        text = json.dumps({"fingerprint": fingerprint, "measured": measured}, indent=2)
        scratch.write_text(text + "\n", encoding="utf-8")
    return measured


def _read_point(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{path} is damaged ({error}). Delete it to measure the point again."
        ) from error


def _measure(
    settings: Settings, inputs: _Inputs, directory: Path, point: Path, progress: Progress
) -> dict[str, Any]:
    codebooks = _fitted_once(settings.model.quantizer, inputs, directory, progress)
    ids = assign_semantic_ids(codebooks, inputs.embeddings)
    generator = point / "generator"
    train_or_reuse(
        settings,
        ids,
        inputs.embeddings,
        inputs.sequences,
        generator,
        work_directory=point / "training_state",
        retrain=False,
        progress=progress,
    )
    described = read_description(generator)
    return {
        **_code_figures(codebooks),
        **_accuracy(settings, ids, inputs.sequences, generator, progress),
        "invalid_beam_share": _invalid_share(settings, ids, inputs.sequences, generator),
        "parameters": described["parameters"],
        "best_epoch": described["best_epoch"],
        "seconds": described["seconds"],
    }


def _fitted_once(
    config: QuantizerConfig, inputs: _Inputs, directory: Path, progress: Progress
) -> Path:
    """The folder of the codebooks of these settings, fitted if they are not there yet."""
    training = inputs.sequences.training()
    read = interactions_fingerprint(config, training)
    made_from = fingerprint_json(
        [config.model_dump(), inputs.fingerprints[0], *filter(None, [read])]
    )
    folder = directory / f"codebooks_{made_from}"
    if not folder.is_dir():
        state = folder.with_suffix(".state")
        fit_codebooks(config, inputs.embeddings, folder, state, progress, training)
    return folder


def _code_figures(codebooks: Path) -> dict[str, Any]:
    import numpy as np

    statistics = read_codebook_facts(codebooks).statistics
    perplexities = [level["perplexity"] for level in statistics["levels"]]
    return {
        "perplexity": float(np.exp(np.mean(np.log(perplexities)))),
        "colliding_items": statistics["collisions"]["colliding_items"],
    }


def _accuracy(
    settings: Settings,
    ids: SemanticIds,
    sequences: UserSequences,
    generator: Path,
    progress: Progress,
) -> dict[str, float | None]:
    recommender, _ = load_recommenders(generator, ids, sequences.training, settings.evaluation)
    config = settings.evaluation
    found = evaluate(recommender, sequences, config, "point", settings.data.split, progress)
    values = MetricValues(found.metrics)
    return {
        f"{split}_{metric}@10": values.get("point", split, "masked", metric, 10)
        for split in ("valid", "test")
        for metric in ("ndcg", "hit_rate")
    }


def _invalid_share(
    settings: Settings, ids: SemanticIds, sequences: UserSequences, generator: Path
) -> float:
    """Of the users of a validation during training."""
    training, config = settings.training, settings.evaluation
    histories, _ = validation_sample(sequences, training.validation_users, training.seed)
    return invalid_beam_share(
        load_generator(generator, ids),
        SemanticIdTrie.from_semantic_ids(ids),
        histories,
        config.beams,
        config.users_per_batch,
    )
