"""What a layout is to the rest of the catalog: how to find its files and how to read them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.catalog.config import SourceConfig
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.errors import InputError
from tiger_pipeline.progress import Progress


@dataclass(frozen=True)
class SourceFiles:
    """The files of a dataset."""

    items: Path
    interactions: tuple[Path, ...]


@dataclass(frozen=True)
class Layout:
    """One way in which datasets are laid out on disk.

    Attributes:
        locate: finds the files in a folder; InputError where one is missing or ambiguous.
        read: reads them; InputError where one breaks the layout's contract.
    """

    locate: Callable[[Path, SourceConfig], SourceFiles]
    read: Callable[[SourceFiles, SourceConfig, Progress], RawCatalog]


def find_file(
    folder: Path,
    kind: str,
    given: str | None,
    patterns: tuple[str, ...],
    not_like: str = "",
    fixed_name: bool = False,
) -> Path:
    """The one file of a kind ("items" or "interactions") in a dataset's folder.

    Args:
        folder: the dataset's folder.
        kind: names the setting `data.source.<kind>` that overrides the patterns.
        given: the value of that setting.
        patterns: glob patterns of the layout's own file names.
        not_like: a pattern whose matches are left out.
        fixed_name: whether the setting does not apply to this file.

    Raises:
        InputError: no file matches, or several do.
    """
    if given is not None:
        path = folder / given
        if not path.is_file():
            raise InputError(f"{path} (named by data.source.{kind}) does not exist.")
        return path
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    found -= set(folder.glob(not_like)) if not_like else set()
    if len(found) == 1:
        return found.pop()
    if not found:
        raise InputError(
            f"{folder} holds no {kind} file: none is named {' or '.join(patterns)}. "
            "Check data.source.path and data.source.format"
            + ("." if fixed_name else f", or set data.source.{kind}.")
        )
    names = ", ".join(sorted(path.name for path in found))
    raise InputError(
        f"{folder} holds several {kind} files ({names}). Set data.source.{kind} to the one to read."
    )


def locate_by_name(
    interactions: tuple[str, ...], items: tuple[str, ...], not_like: str = ""
) -> Callable[[Path, SourceConfig], SourceFiles]:
    """A `Layout.locate` for one file of each kind.

    Args:
        interactions: glob patterns of the interactions' file.
        items: of the items' file.
        not_like: a pattern whose matches are no interactions.
    """

    def locate(folder: Path, source: SourceConfig) -> SourceFiles:
        found = find_file(
            folder, "interactions", source.interactions, interactions, not_like=not_like
        )
        return SourceFiles(find_file(folder, "items", source.items, items), (found,))

    return locate
