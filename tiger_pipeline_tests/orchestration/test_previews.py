import re

import pyarrow as pa

from tiger_pipeline.orchestration.previews import table_preview

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![seen](https://tracker.example/pixel.png)",
    "&lt;b&gt;",
    "`code` | another cell \\| and another",
]


def test_text_from_outside_is_shown_as_it_is():
    text = table_preview(pa.table({"title": HOSTILE})).value
    # In Markdown, a punctuation mark after an odd number of backslashes stands for itself.
    bare = re.sub(r"\\[\\`|<&\[]", "", text)
    header, rule, *rows = bare.split("\n")
    assert not set("<[&`\\") & set(bare)
    assert (header, rule) == ("| title |", "| --- |")
    assert [row.count("|") for row in rows] == [2] * len(HOSTILE)


def test_long_text_is_cut_and_lines_stay_one():
    text = table_preview(pa.table({"title": ["a\nb", "x" * 200]})).value
    assert text.splitlines()[2] == "| a ⏎ b |"
    assert len(text.splitlines()[3]) < 90
