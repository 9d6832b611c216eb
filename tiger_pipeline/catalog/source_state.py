"""Whether a dataset's item files have changed, judged by names, sizes and times alone."""

from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.catalog.config import DataConfig
from tiger_pipeline.catalog.incoming_files import find_incoming, is_settled
from tiger_pipeline.errors import InputError
from tiger_pipeline.storage.fingerprint import fingerprint_json


@dataclass(frozen=True)
class SourceState:
    """How a dataset's files look from outside.

    Attributes:
        fingerprint: changes with the source's item file and with any complete incoming file.
        unsettled: names of files that changed a moment ago, the source's own first.
        source_settled: whether the source's own files can be read.
    """

    fingerprint: str
    unsettled: tuple[str, ...]
    source_settled: bool


def source_state(config: DataConfig, base: Path, now: float | None = None) -> SourceState:
    """Look at the files of a dataset; none is opened.

    Args:
        config: of the dataset.
        base: the folder at which a relative `config.source.path` starts.
        now: unix seconds; default: the present.

    Raises:
        InputError: the dataset's folder or one of its files is missing.
    """
    from tiger_pipeline.catalog.readers.source import resolve_folder, source_files

    files = source_files(config.source, base)
    folder = resolve_folder(config.source.path, base)
    seconds = config.incoming.settle_seconds
    incoming = find_incoming(folder / config.incoming.folder, seconds, now)
    try:
        own = [files.items, *files.interactions]
        growing = [path.name for path in own if not is_settled(path, seconds, now)]
        seen = [_look(path) for path in (files.items, *incoming.complete)]
    except FileNotFoundError as error:
        raise InputError(f"{error.filename} vanished while it was looked at.") from error
    return SourceState(
        fingerprint=fingerprint_json(seen),
        unsettled=(*growing, *(path.name for path in incoming.unsettled)),
        source_settled=not growing,
    )


def _look(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return path.name, status.st_size, status.st_mtime_ns
