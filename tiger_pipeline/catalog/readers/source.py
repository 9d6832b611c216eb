"""Entry point of the readers: from a source's settings to its raw catalog."""

import os
import re
from pathlib import Path

from tiger_pipeline.catalog.config import SourceConfig
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.catalog.readers import (
    amazon2014,
    amazon2018,
    amazon2023,
    freerec,
    plain,
    tables,
)
from tiger_pipeline.catalog.readers.layout import Layout, SourceFiles
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import NoProgress, Progress

LAYOUTS: dict[str, Layout] = {
    "plain": plain.LAYOUT,
    "freerec": freerec.LAYOUT,
    "amazon2014": amazon2014.LAYOUT,
    "amazon2018": amazon2018.LAYOUT,
    "amazon2023": amazon2023.LAYOUT,
    "tables": tables.LAYOUT,
}


def resolve_folder(path: str, base: Path) -> Path:
    """The folder that `data.source.path` means: `~` and `$VARIABLES` expanded, relative to `base`.

    Raises:
        InputError: a variable is not set, or there is no such folder.
    """
    expanded = os.path.expanduser(os.path.expandvars(path))
    unset = re.search(r"\$\{?\w+\}?", expanded)
    if unset:
        raise InputError(
            f"data.source.path is {path!r}, but the environment variable {unset[0]} is not set."
        )
    folder = base / expanded
    if not folder.exists():
        raise InputError(
            f"The dataset's folder {folder} does not exist (data.source.path is {path!r}; "
            f"relative paths start at {base})."
        )
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; data.source.path must name the folder it is in.")
    return folder


def source_files(source: SourceConfig, base: Path) -> SourceFiles:
    """The files that `read_source` would read, found but not opened.

    Raises:
        InputError: the folder or one of its files is missing or ambiguous.
    """
    return LAYOUTS[source.format].locate(resolve_folder(source.path, base), source)


def read_source(source: SourceConfig, base: Path, progress: Progress | None = None) -> RawCatalog:
    """Read a dataset in any of the supported layouts.

    Args:
        source: where it is and how it is laid out.
        base: the folder at which a relative `source.path` starts.
        progress: told about the large compressed files.

    Raises:
        InputError: a file is missing or breaks its contract; the message names file and row.
    """
    files = source_files(source, base)
    return LAYOUTS[source.format].read(files, source, progress or NoProgress())
