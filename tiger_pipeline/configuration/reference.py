"""The reference of all settings, as Markdown made from the settings' own classes."""

import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from tiger_pipeline.configuration.settings import Settings
from tiger_pipeline.strict_config import StrictConfig

_INTRODUCTION = """\
# Settings

Made by `tiger settings`. A dataset's YAML file sets what differs from these defaults, a variant's
file what differs from the dataset, `--set SECTION.KEY=VALUE` what differs in one run. Unknown keys
and values out of range are errors.
"""


def settings_reference() -> str:
    """Every section of the settings with its keys, types, defaults and meaning."""
    parts = [_INTRODUCTION]
    for place, section in _sections("", Settings):
        if place:
            parts.append(f"\n## {place}\n\n{_summary(section)}\n")
            rows = [_row(name, field) for name, field in _values(section)]
            if rows:
                parts += ["| key | type | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join(parts) + "\n"


def _sections(place: str, section: type[StrictConfig]) -> Iterator[tuple[str, type[StrictConfig]]]:
    yield place, section
    for name, field in section.model_fields.items():
        inner = f"{place}.{name}".lstrip(".")
        choices = _choices(field)
        for choice in choices:
            label = f"{inner} (kind: {_kind(choice)})" if len(choices) > 1 else inner
            yield from _sections(label, choice)


def _choices(field: FieldInfo) -> list[type[StrictConfig]]:
    """The sections that a field may hold: none for a plain value, several for a `kind`."""
    return [part for part in _flat(field.annotation) if _is_section(part)]


def _flat(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (typing.Union, UnionType, typing.Annotated):
        for part in typing.get_args(annotation):
            yield from _flat(part)
    else:
        yield annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, StrictConfig)


def _kind(section: type[StrictConfig]) -> str:
    return section.model_fields["kind"].default


def _summary(section: type[StrictConfig]) -> str:
    return " ".join((section.__doc__ or "").split())


def _values(section: type[StrictConfig]) -> Iterator[tuple[str, FieldInfo]]:
    return ((n, f) for n, f in section.model_fields.items() if not _choices(f))


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_shown(field.get_default())}`"
    meaning = " ".join((field.description or "").split())
    cells = (f"`{name}`", _type(field), default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return str(list(value)).replace("'", "")
    return "null" if value is None else str(value)


def _type(field: FieldInfo) -> str:
    schema = pydantic.TypeAdapter(typing.cast(Any, field.annotation)).json_schema()
    return _schema_name(schema) + "".join(f", {bound}" for bound in _bounds(field))


def _schema_name(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_schema_name(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema["type"] == "array":
        return f"list of {_schema_name(schema['items'])}"
    return {"object": "mapping"}.get(schema["type"], schema["type"])


def _bounds(field: FieldInfo) -> Iterator[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    for constraint in field.metadata:
        for attribute, sign in signs.items():
            if (bound := getattr(constraint, attribute, None)) is not None:
                yield f"{sign} {bound:g}"
