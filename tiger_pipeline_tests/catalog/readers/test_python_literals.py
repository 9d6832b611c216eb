import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiger_pipeline.catalog.readers.python_literals import parse_literal

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
TEXT = st.text(alphabet="a'\"\\\n\t é漢\x00,:{}[]", max_size=8)
VALUES = st.recursive(
    SCALARS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_what_repr_writes_is_read_back(value) -> None:
    parsed = parse_literal(repr(value))
    assert parsed == value
    assert repr(parsed) == repr(value)


@pytest.mark.parametrize(
    "text",
    [
        "{'a': 'it''s'}", "{'a': u'x'}", "('a', 1)", "{'a': 1,}", "{1: 'x'}", "0x1f", "'a\tb'",
        r"'\x41\u00e9\N{BULLET}'", r"r'\n'", "b'x'", "{'a': \"don't\", 'b': 'say \"hi\"'}",
    ],
)  # fmt: skip
def test_other_literals_agree_with_ast(text: str) -> None:
    assert parse_literal(text) == ast.literal_eval(text)


@pytest.mark.parametrize("text", ["{'a': ", "f()", "{'a': open('x')}", "'", "", "{'a' 'b'}x"])
def test_what_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        parse_literal(text)
