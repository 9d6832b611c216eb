"""The building blocks of the report page. Text is escaped here; `content` is HTML already."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from tiger_pipeline.evaluation.plots import picture_source

DASH = "–"
"""Stands for what is not known."""


def section(title: str, content: str) -> str:
    """A titled box, or nothing where there is no content."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}</section>\n" if content else ""


def note(text: str) -> str:
    """A paragraph of explanation."""
    return f'<p class="note">{escape(text)}</p>\n'


def card(label: str, value: str, beside: str, main: bool = False) -> str:
    """A headline number; `main` ones stand out."""
    css = ' class="main"' if main else ""
    return (
        f'<div{css}><div class="label">{escape(label)}</div>'
        f'<div class="value">{escape(value)}</div>'
        f'<div class="beside">{escape(beside)}</div></div>\n'
    )


def table(caption: str, columns: Sequence[str], rows: str) -> str:
    """A table that scrolls sideways on a narrow screen.

    Args:
        caption: its title.
        columns: titles of the columns; none for a table without a header.
        rows: HTML of `row` and `group_row`.
    """
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in columns)
    header = f"<thead><tr>{titles}</tr></thead>\n" if columns else ""
    return (
        f'<div class="scroll"><table>\n<caption>{escape(caption)}</caption>\n'
        f"{header}<tbody>\n{rows}</tbody>\n</table></div>\n"
    )


def row(
    label: str, cells: Sequence[str], own: bool = False, best: Sequence[bool] | None = None
) -> str:
    """A labeled row.

    Args:
        label: what the row is about.
        cells: texts.
        own: whether to mark the row as the one the page is about.
        best: a flag a cell, whether to mark it as the best of its column.
    """
    marks = best or [False] * len(cells)
    marked = "".join(
        f"<td{' class=best' if mark else ''}>{escape(cell)}</td>"
        for cell, mark in zip(cells, marks, strict=True)
    )
    css = " class=own" if own else ""
    return f'<tr{css}><th scope="row">{escape(label)}</th>{marked}</tr>\n'


def group_row(title: str, columns: int) -> str:
    """A row that titles those below it, as wide as `columns` columns."""
    return f'<tr class="group"><th colspan="{columns}" scope="rowgroup">{escape(title)}</th></tr>\n'


def picture(png: bytes, caption: str) -> str:
    """A picture inside the page, with its caption."""
    text = escape(caption)
    return (
        f'<figure><img src="{picture_source(png)}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>\n"
    )


def number(value: float | None, form: str) -> str:
    """The number in a format such as ".4f" or ",d"; a dash if it is unknown or not finite."""
    if value is None or not math.isfinite(value):
        return DASH
    return format(int(value) if form.endswith("d") else value, form)


def p_value(value: float | None) -> str:
    """A p-value with three digits; below them, only that it is."""
    if value is not None and value < 0.001:
        return "< 0.001"
    return number(value, ".3f")


def plain(value: Any) -> str:
    """Any value as a reader expects it: separators in large numbers, four digits of small ones."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value, ",.4g" if abs(value) < 1000 else ",.0f")
    if isinstance(value, list | tuple):
        return ", ".join(plain(entry) for entry in value)
    return str(value)
