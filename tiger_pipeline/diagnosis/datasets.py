"""The datasets that can be run: their settings, files and encoders."""

from collections.abc import Collection, Iterator
from pathlib import Path

from tiger_pipeline.catalog.readers.source import source_files
from tiger_pipeline.configuration.locations import data_root
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.diagnosis.encoders import check_encoder
from tiger_pipeline.diagnosis.finding import Finding, Level
from tiger_pipeline.errors import TigerError

_AREA = "Data"


def check_datasets(presets: Presets, asked: Collection[str] = ()) -> Iterator[Finding]:
    """Every dataset's files, and every encoder that a dataset with files needs.

    Args:
        presets: the datasets.
        asked: those that are to be run: what they lack is an error; what others lack is not.
    """
    yield _data_folder(data_root())
    try:
        names = presets.datasets()
    except TigerError as error:
        yield Finding(_AREA, "datasets", "cannot be listed", "error", str(error))
        return
    encoders: dict[str, tuple[Finding, list[str]]] = {}
    for name in [*names, *(name for name in asked if name not in names)]:
        finding, settings = _check_dataset(presets, name, "error" if name in asked else "note")
        yield finding
        if settings is None or finding.level != "ok":
            continue
        encoder = settings.model.encoder.name
        if encoder not in encoders:
            encoders[encoder] = (check_encoder(settings.model.encoder), [])
        encoders[encoder][1].append(name)
    for finding, users in encoders.values():
        value = f"{finding.value} (for {', '.join(users)})"
        yield Finding(finding.area, finding.name, value, finding.level, finding.advice)


def _data_folder(folder: Path) -> Finding:
    if folder.is_dir():
        return Finding(_AREA, "TIGER_DATA", str(folder))
    advice = "Datasets under $TIGER_DATA cannot be found: set it to the folder that holds them."
    return Finding(_AREA, "TIGER_DATA", f"{folder} does not exist", "warning", advice)


def _check_dataset(presets: Presets, name: str, lacking: Level) -> tuple[Finding, Settings | None]:
    try:
        settings = presets.dataset_settings(name)
    except TigerError as error:
        level: Level = "error" if lacking == "error" else "warning"
        return Finding(_AREA, name, "its settings are not valid", level, str(error)), None
    try:
        files = source_files(settings.data.source, Path.cwd())
    except TigerError as error:
        found = f"no files in {settings.data.source.path}"
        advice = str(error) if lacking == "error" else ""
        return Finding(_AREA, name, found, lacking, advice), settings
    return Finding(_AREA, name, str(files.items.parent)), settings
