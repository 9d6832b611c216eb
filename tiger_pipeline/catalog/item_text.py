"""The text of an item: one `FIELD: value.` line a field, as the encoder reads it.

The format follows the study behind this project: `TITLE: …`, `CATEGORIES: …`, `BRAND: …`, and a
value that is not known leaves its place empty (`BRAND: .`).
"""

import hashlib
import re
from typing import TYPE_CHECKING

from tiger_pipeline.catalog.config import TextConfig
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.tables import with_metadata

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_TEMPLATE_VERSION = 1
"""Rises whenever the same fields and settings would give another text than before."""

RESERVED_COLUMNS = ("item_id", "n_interactions", "is_withdrawn")
"""Columns of the items artifact that are no text fields."""

_TEXT_HASH_DIGITS = 32
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def clean_value(value: str) -> str:
    r"""A value on one line: control characters and runs of white space become one space.

    >>> clean_value("Nail\n  Lacquer\x00 ")
    'Nail Lacquer'
    """
    return " ".join(_CONTROL.sub(" ", value).split())


def text_hash(text: str) -> str:
    """The first 32 hexadecimal digits of the text's SHA-256: its key in the embedding cache."""
    return hashlib.sha256(text.encode()).hexdigest()[:_TEXT_HASH_DIGITS]


def item_text(values: dict[str, str], config: TextConfig) -> str:
    """The text of one item.

    >>> print(item_text({"title": "Red Nail Polish", "brand": ""}, TextConfig(fields=("title", "brand"))))
    TITLE: Red Nail Polish.
    BRAND: .
    """  # noqa: E501
    return "\n".join(
        clean_value(values[field]).join(
            config.line.replace("{field}", field.upper()).split("{value}")
        )
        for field in config.fields
    )


def build_item_texts(items: "pa.Table", config: TextConfig) -> "pa.Table":
    """The texts of all items, in their order.

    Args:
        items: the `items` artifact.
        config: the fields and the template.

    Returns:
        item_id string, text string, text_hash string; the template is in the metadata.

    Raises:
        ConfigurationError: the items lack a field that the settings name.
    """
    import pyarrow as pa

    available = [name for name in items.column_names if name not in RESERVED_COLUMNS]
    for field in config.fields:
        if field not in available:
            raise ConfigurationError(
                f"data.text.fields names {field!r}, but the items have no such field. "
                f"They have: {', '.join(available) or 'no text fields at all'}."
            )
    columns = [items[field].to_pylist() for field in config.fields]
    texts = [
        item_text(dict(zip(config.fields, values, strict=True)), config)
        for values in zip(*columns, strict=True)
    ]
    table = pa.table(
        {
            "item_id": items["item_id"],
            "text": pa.array(texts, pa.string()),
            "text_hash": pa.array(map(text_hash, texts), pa.string()),
        }
    )
    return with_metadata(
        table,
        {
            "template_version": TEXT_TEMPLATE_VERSION,
            "fields": list(config.fields),
            "line": config.line,
        },
    )
