import hashlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.config import TextConfig
from tiger_pipeline.catalog.item_text import (
    TEXT_TEMPLATE_VERSION,
    build_item_texts,
    clean_value,
    item_text,
)
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.tables import metadata_of

ITEMS = pa.table(
    {
        "item_id": ["a", "b"],
        "title": ["Red polish", "Line\nbreak\tand {value}"],
        "brand": ["OPI", ""],
        "categories": ["Beauty > Nails", "Beauty"],
        "n_interactions": pa.array([1, 2], pa.int32()),
    }
)


def test_the_studys_text() -> None:
    texts = build_item_texts(ITEMS, TextConfig())
    assert texts["item_id"].to_pylist() == ["a", "b"]
    assert texts["text"].to_pylist() == [
        "TITLE: Red polish.\nCATEGORIES: Beauty > Nails.\nBRAND: OPI.",
        "TITLE: Line break and {value}.\nCATEGORIES: Beauty.\nBRAND: .",
    ]
    first = texts["text"][0].as_py()
    assert texts["text_hash"][0].as_py() == hashlib.sha256(first.encode()).hexdigest()[:32]
    assert texts.schema.types == [pa.string()] * 3


def test_another_template_and_order() -> None:
    config = TextConfig(fields=("brand", "title"), line="<{field}> {value} ({field})")
    assert item_text({"brand": "OPI", "title": "x"}, config) == (
        "<BRAND> OPI (BRAND)\n<TITLE> x (TITLE)"
    )


def test_the_template_is_recorded() -> None:
    assert metadata_of(build_item_texts(ITEMS, TextConfig(fields=("title",)))) == {
        "template_version": TEXT_TEMPLATE_VERSION,
        "fields": ["title"],
        "line": "{field}: {value}.",
    }


@pytest.mark.parametrize("field", ["color", "TITLE", "n_interactions", "item_id"])
def test_an_unknown_field_names_those_there_are(field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{field}'.* They have: title, brand, cat"):
        build_item_texts(ITEMS, TextConfig(fields=(field,)))


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_a_clean_value_is_one_line_and_stays_as_it_is(value: str) -> None:
    cleaned = clean_value(value)
    assert len(cleaned.splitlines()) <= 1
    assert clean_value(cleaned) == cleaned
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in cleaned)


@given(st.lists(st.sampled_from(["a", "é", "漢", "\u2028", "\x0b", " ", "\x00"]), max_size=12))
@settings(max_examples=60, deadline=None)
def test_cleaning_loses_no_visible_character(characters: list[str]) -> None:
    visible = [c for c in characters if c in "aé漢"]
    assert [c for c in clean_value("".join(characters)) if c != " "] == visible
