"""Datasets and variants: short YAML files, found by name, merged over the documented defaults.

A dataset file must have a `data` section and may set anything else; or it `extends` another dataset
by name and sets only what differs, such as the split. A variant file says how its semantic IDs and
its generator differ. Later wins: defaults, dataset, variant, overrides of a run.

A variant file may also say `seeds: N`: `NAME` is then joined by its repeats `NAME_seed_1` …
`NAME_seed_{N-1}`. Repeat k is the whole run again with other random numbers: k is added to the
seed of the quantizer and to the seed of the training, last of all, after every override.
"""

import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tiger_pipeline.configuration.locations import data_root, preset_folders, store_root
from tiger_pipeline.configuration.settings import (
    ModelConfig,
    Settings,
    move_seeds,
    parse_settings,
)
from tiger_pipeline.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9_]+")
_SEEDS = "seeds"
Found = TypeVar("Found")


@dataclass(frozen=True)
class Variant:
    """One variant that can be run: a preset file, or a repeat of it.

    Attributes:
        path: its YAML file.
        repeat: 0 for the file as it is; k for its repeat with seeds moved by k.
    """

    path: Path
    repeat: int


@dataclass(frozen=True)
class Presets:
    """The datasets and variants that can be run.

    Attributes:
        folders: each may hold `datasets/*.yaml` and `variants/*.yaml`; a name occurs once.
    """

    folders: Sequence[Path] = field(default_factory=preset_folders)

    def datasets(self) -> dict[str, Path]:
        """Dataset name → its YAML file, sorted by name."""
        return self._files("datasets")

    def variants(self) -> dict[str, Variant]:
        """Variant name → its preset file and repeat; files by name, each followed by its repeats.

        Raises:
            ConfigurationError: a file is not a mapping, its `seeds` is no number from 1 on, or
                two variants have the same name.
        """
        files = self._files("variants")
        found = {}
        for name, path in files.items():
            found[name] = Variant(path, 0)
            for repeat in range(1, _number_of_seeds(_read(path), path)):
                repeated = f"{name}_seed_{repeat}"
                if repeated in files:
                    raise ConfigurationError(
                        f"{repeated!r} is defined twice, by {files[repeated]} and by the `seeds` "
                        f"of {path}. Rename the former or lower the latter."
                    )
                found[repeated] = Variant(path, repeat)
        return found

    def with_repeats(self, names: Sequence[str]) -> dict[str, list[str]]:
        """By each of the named variants, itself and all of its repeats.

        Raises:
            ConfigurationError: there is no such variant.
        """
        known = self.variants()
        files = {name: _find(known, name, "variant").path for name in names}
        return {
            name: [run for run, variant in known.items() if variant.path == path]
            for name, path in files.items()
        }

    def dataset_settings(self, dataset: str, overrides: Sequence[str] = ()) -> Settings:
        """Settings of the stages that do not depend on a variant (catalog, encoding, baselines).

        Args:
            dataset: name of a dataset.
            overrides: `dotted.key=value` strings, values read as YAML.

        Raises:
            ConfigurationError: unknown name, key or value, each with its place.
        """
        path, values = self._dataset(dataset)
        values = _merge(_default_kinds(), values)
        values = _merge(values, _without_variant_models(_parse_overrides(overrides)))
        _resolve_source(values, path)
        return parse_settings(values, str(path))

    def settings(self, dataset: str, variant: str, overrides: Sequence[str] = ()) -> Settings:
        """Settings of a dataset × variant run. Arguments and errors as for `dataset_settings`."""
        dataset_path, dataset_values = self._dataset(dataset)
        chosen = _find(self.variants(), variant, "variant")
        variant_values = _read(chosen.path)
        variant_values.pop(_SEEDS, None)
        _refuse_dataset_keys(variant_values, chosen.path)
        values = _merge(_merge(_default_kinds(), dataset_values), variant_values)
        values = _merge(values, _parse_overrides(overrides))
        _resolve_source(values, dataset_path)
        _resolve_initial_codebooks(values, chosen.path)
        settings = parse_settings(values, f"{dataset_path} and {chosen.path}")
        return move_seeds(settings, chosen.repeat)

    def _dataset(self, name: str, extended_by: tuple[str, ...] = ()) -> tuple[Path, dict[str, Any]]:
        """A dataset's file, and its values over those of the dataset that it extends."""
        path = _find(self.datasets(), name, "dataset")
        values = _read(path)
        # Here, as a relative source starts at the file that names it.
        _resolve_source(values, path)
        base = values.pop("extends", None)
        if base is None:
            return path, values
        base = str(base)
        if base in (name, *extended_by):
            raise ConfigurationError(f"{path} extends {base!r}, which extends it in turn.")
        return path, _merge(self._dataset(base, (*extended_by, name))[1], values)

    def _files(self, kind: str) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in (path for folder in self.folders for path in (folder / kind).glob("*.yaml")):
            if not _NAME.fullmatch(path.stem):
                raise ConfigurationError(
                    f"{path}: the file's name becomes a partition key, so use only lower-case "
                    "letters, digits and '_'."
                )
            if path.stem in found:
                raise ConfigurationError(
                    f"{path.stem!r} is defined twice, in {found[path.stem]} and in {path}. "
                    "Rename one of them."
                )
            found[path.stem] = path
        return dict(sorted(found.items()))


def describe(path: Path) -> str:
    """The comment on a preset's first line: what it is, in one sentence."""
    with open(path, encoding="utf-8") as file:
        first = file.readline().strip()
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _find(known: Mapping[str, Found], name: str, kind: str) -> Found:
    if name not in known:
        raise ConfigurationError(
            f"There is no {kind} {name!r}. Known: {', '.join(known)}. To add one, put "
            f"{kind}s/{name}.yaml into a folder and name that folder in TIGER_CONFIG."
        )
    return known[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(
            f"{path} must be a mapping with the sections data, model, training, evaluation."
        )
    return values


def _number_of_seeds(values: Mapping[str, Any], path: Path) -> int:
    seeds = values.get(_SEEDS, 1)
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise ConfigurationError(
            f"{path} sets 'seeds' to {seeds!r}. It is the number of seeds that the variant can be "
            "run with: 1 (the default) or more."
        )
    return seeds


def _refuse_dataset_keys(values: Mapping[str, Any], path: Path) -> None:
    model, evaluation = values.get("model") or {}, values.get("evaluation") or {}
    for place, present in (
        ("data", "data" in values),
        ("model.encoder", "encoder" in model),
        ("evaluation.sasrec", "sasrec" in evaluation),
        ("evaluation.sampled_negatives", "sampled_negatives" in evaluation),
        ("evaluation.sampling_seed", "sampling_seed" in evaluation),
    ):
        if present:
            raise ConfigurationError(
                f"{path} sets {place!r}, which belongs to the dataset: all variants of a dataset "
                "share its catalog, embeddings and baselines. Move it to the dataset's file."
            )


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Nested merge; a mapping of another `kind` replaces instead, as its keys differ."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            other_kind = "kind" in value and value["kind"] != below.get("kind", value["kind"])
            merged[key] = dict(value) if other_kind else _merge(below, value)
        else:
            merged[key] = value
    return merged


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigurationError(
                f"Override {override!r} is not of the form section.key=value, "
                "such as training.max_epochs=3."
            )
        nested: Any = yaml.safe_load(text)
        for part in reversed(key.split(".")):
            nested = {part: nested}
        values = _merge(values, nested)
    return values


def _default_kinds() -> dict[str, Any]:
    """The default `kind` of each model, so that its settings can be changed without naming it."""
    models = ModelConfig()
    return {
        "model": {name: {"kind": getattr(models, name).kind} for name in ModelConfig.model_fields}
    }


def _without_variant_models(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides without those of the models that only a variant has, and knows the `kind` of."""
    model = overrides.get("model")
    if not isinstance(model, Mapping):
        return dict(overrides)
    kept = {key: value for key, value in model.items() if key not in ("quantizer", "generator")}
    return {**overrides, "model": kept}


def _resolve_source(values: dict[str, Any], path: Path) -> None:
    """Make the source folder of the dataset in `path` absolute."""
    source = (values.get("data") or {}).get("source")
    if isinstance(source, dict) and isinstance(source.get("path"), str):
        absolute = _absolute(source["path"], path)
        values["data"] = {**values["data"], "source": {**source, "path": absolute}}


def _resolve_initial_codebooks(values: dict[str, Any], path: Path) -> None:
    """Make the file that the quantizer of the variant in `path` starts from absolute."""
    quantizer = (values.get("model") or {}).get("quantizer")
    if isinstance(quantizer, dict) and isinstance(quantizer.get("initial_codebooks"), str):
        absolute = _absolute(quantizer["initial_codebooks"], path)
        quantizer = {**quantizer, "initial_codebooks": absolute}
        values["model"] = {**values["model"], "quantizer": quantizer}


def _absolute(text: str, preset: Path) -> str:
    """The path `text` in a preset: variables and `~` expanded, else beside the YAML file."""
    roots = {"TIGER_DATA": str(data_root()), "TIGER_STORE": str(store_root())}
    expanded = string.Template(text).safe_substitute({**os.environ, **roots})
    return str((preset.parent / Path(expanded).expanduser()).resolve())
