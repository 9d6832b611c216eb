"""A document of results: Markdown with its pictures beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiger_pipeline.storage.atomic import atomic_file


@dataclass(frozen=True)
class Section:
    """A titled part of a document.

    Attributes:
        title: its heading.
        text: Markdown.
        pictures: by file name without suffix, a caption and the PNG; shown after the text.
    """

    title: str
    text: str
    pictures: Mapping[str, tuple[str, bytes]]


def write_document(path: Path, title: str, introduction: str, sections: Sequence[Section]) -> None:
    """Write `path`, and the pictures into a folder of the same name without the suffix.

    Args:
        path: of the Markdown file, such as `docs/study.md`; the pictures go to `docs/study/`.
        title: first heading.
        introduction: Markdown below it.
        sections: the rest, in order; no two pictures of the same name.

    Raises:
        ArtifactError: it could not be written.
    """
    folder = path.with_suffix("")
    parts = [f"# {title}\n\n{introduction.strip()}\n"]
    for section in sections:
        parts.append(f"\n## {section.title}\n\n{section.text.strip()}\n")
        for name, (caption, _) in section.pictures.items():
            parts.append(f"\n![{caption}]({folder.name}/{name}.png)\n")
    for section in sections:
        for name, (_, png) in section.pictures.items():
            with atomic_file(folder / f"{name}.png") as scratch:
                scratch.write_bytes(png)
    with atomic_file(path) as scratch:
        scratch.write_text("".join(parts), encoding="utf-8")


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""A Markdown table; `|` inside cells is escaped.

    >>> print(markdown_table(["a", "b"], [["1", "x|y"]]), end="")
    | a | b |
    | --- | --- |
    | 1 | x\|y |
    """
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (titles, *rows)]
    lines.insert(1, ["---"] * len(titles))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
