"""Datasets and variants: short YAML files, found by name, merged over the documented defaults.

A dataset file must have a `data` section and may set anything else; a variant file says how its
semantic IDs and its generator differ. Later wins: defaults, dataset, variant, overrides of a run.
"""

import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tiger_pipeline.configuration.locations import data_root, preset_folders, store_root
from tiger_pipeline.configuration.settings import Settings, parse_settings
from tiger_pipeline.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9_]+")


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

    def variants(self) -> dict[str, Path]:
        """Variant name → its YAML file, sorted by name."""
        return self._files("variants")

    def dataset_settings(self, dataset: str, overrides: Sequence[str] = ()) -> Settings:
        """Settings of the stages that do not depend on a variant (catalog, encoding, baselines).

        Args:
            dataset: name of a dataset.
            overrides: `dotted.key=value` strings, values read as YAML.

        Raises:
            ConfigurationError: unknown name, key or value, each with its place.
        """
        path = _find(self.datasets(), dataset, "dataset")
        values = _merge(_read(path), _parse_overrides(overrides))
        _resolve_source(values, path)
        return parse_settings(values, str(path))

    def settings(self, dataset: str, variant: str, overrides: Sequence[str] = ()) -> Settings:
        """Settings of a dataset × variant run. Arguments and errors as for `dataset_settings`."""
        dataset_path = _find(self.datasets(), dataset, "dataset")
        variant_path = _find(self.variants(), variant, "variant")
        variant_values = _read(variant_path)
        _refuse_dataset_keys(variant_values, variant_path)
        values = _merge(_read(dataset_path), variant_values)
        values = _merge(values, _parse_overrides(overrides))
        _resolve_source(values, dataset_path)
        _resolve_initial_codebooks(values, variant_path)
        return parse_settings(values, f"{dataset_path} and {variant_path}")

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


def _find(files: Mapping[str, Path], name: str, kind: str) -> Path:
    if name not in files:
        raise ConfigurationError(
            f"There is no {kind} {name!r}. Known: {', '.join(files)}. To add one, put "
            f"{kind}s/{name}.yaml into a folder and name that folder in TIGER_CONFIG."
        )
    return files[name]


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


def _refuse_dataset_keys(values: Mapping[str, Any], path: Path) -> None:
    model, evaluation = values.get("model") or {}, values.get("evaluation") or {}
    for place, present in (
        ("data", "data" in values),
        ("model.encoder", "encoder" in model),
        ("evaluation.sasrec", "sasrec" in evaluation),
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
