import base64
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.compute as pc
import pytest

from tiger_pipeline.evaluation.report import compare_with_others, draw_pictures
from tiger_pipeline.evaluation.report_inputs import ReportInputs
from tiger_pipeline.evaluation.report_page import render_page
from tiger_pipeline.evaluation.result_tables import MetricValues
from tiger_pipeline_tests.evaluation.synthetic import report_inputs

_VOID = {"meta", "img", "link", "br"}


class _Page(HTMLParser):
    """Checks that tags are balanced, and collects text and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return report_inputs()


def _page(inputs: ReportInputs) -> _Page:
    return _Page(render_page(inputs, draw_pictures(inputs), compare_with_others(inputs)))


@pytest.fixture(scope="module")
def page(inputs: ReportInputs) -> _Page:
    return _page(inputs)


def test_tags_are_balanced(page):
    assert page.open == []


def test_every_measured_value_is_shown(page, inputs):
    shown = set(page.texts)
    for row in inputs.metrics.to_pylist():
        assert f"{row['value']:.4f}" in shown
        assert row["model"] in shown


def test_a_model_is_not_in_the_table_of_a_split_that_it_was_not_measured_on(inputs):
    variant, split = pc.field("model") == inputs.variant, pc.field("split") == "valid"
    page = _page(replace(inputs, metrics=inputs.metrics.filter(~(variant & split))))
    measured = page.texts[page.texts.index("Validation") : page.texts.index("Differences")]
    assert "popularity" in measured
    assert inputs.variant not in measured


def test_headline_is_a_multiple_of_popularity(page, inputs):
    values = MetricValues(inputs.metrics)
    own = values.get("kmeans", "test", "masked", "ndcg", 10)
    floor = values.get("popularity", "test", "masked", "ndcg", 10)
    place = page.texts.index("Test NDCG@10, seen masked")
    assert [text for text in page.texts[place : place + 4] if text.strip()] == [
        "Test NDCG@10, seen masked",
        f"{own:.4f}",
        f"{own / floor:.1f} × popularity",
    ]


def test_differences_are_shown_with_their_interval_and_p(page, inputs):
    for comparison in compare_with_others(inputs):
        difference = comparison.difference
        assert f"{difference.mean:+.4f}" in page.texts
        assert f"[{difference.low:+.4f}, {difference.high:+.4f}]" in page.texts
    assert any("the same 60 users" in text for text in page.texts)


def test_facts_codes_protocol_and_settings_are_shown(page):
    text = "".join(page.texts)
    for expected in (
        "demo",
        "1,234,567",  # parameters
        "75.0%",  # utilization
        "25.00%",  # collision rate
        "7 epochs in 99 seconds, seed 3",
        "the last interaction of each of 60 users",
        "all 40 items",
        "4.25",  # seconds of the codebooks
        "path: somewhere",
    ):
        assert expected in text


def test_is_self_contained(page):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    for attributes in images:
        head, data = attributes["src"].split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert attributes["alt"]
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert not any("href" in attributes for _, attributes in page.tags)


def test_text_from_outside_is_escaped(inputs):
    hostile = "<script>alert('x')</script>"
    page = _page(
        report_inputs(
            dataset=hostile,
            facts={hostile: {hostile: hostile}},
            settings={"path": f"</pre>{hostile}"},
        )
    )
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.tags}


def test_unknown_values_are_dashes(inputs):
    page = _page(
        report_inputs(
            history=(),
            best_epoch=None,
            parameters=None,
            training_seconds=None,
            seed=None,
            code_statistics={
                "levels": [{"level": 0, "codewords": 8, "perplexity": float("nan")}],
                "collisions": {"items": 40},
            },
            group_sizes=None,
            settings={},
            facts={},
        )
    )
    text = "".join(page.texts)
    assert page.open == []
    assert "–" in page.texts
    assert "There is no training history." in text
    assert "Configuration" not in text
    assert "nan" not in text


def test_a_popularity_that_hits_nothing_gives_no_multiple(inputs):
    zero = inputs.metrics.to_pylist()
    for row in zero:
        row["value"] = 0.0
    metrics = type(inputs.metrics).from_pylist(zero, schema=inputs.metrics.schema)
    assert "× popularity" not in "".join(_page(report_inputs(metrics=metrics)).texts)


def test_one_split_and_other_cutoffs(inputs):
    rows = [row for row in inputs.metrics.to_pylist() if row["split"] == "valid" and row["k"] < 10]
    metrics = type(inputs.metrics).from_pylist(rows, schema=inputs.metrics.schema)
    texts = _page(report_inputs(metrics=metrics, targets_already_seen={"valid": 2})).texts
    assert "Validation NDCG@5, seen masked" in texts
    assert "NDCG@10" not in texts
