import pydantic
import pytest

from tiger_pipeline.catalog.config import DataConfig, FilterConfig, SourceConfig, TextConfig


@pytest.mark.parametrize(
    ("name", "cores"),
    [
        ("550_LOU", (5, 5, 0)),
        ("1000_LOU", (10, 0, 0)),
        ("554_LOU", (5, 5, 4)),
        ("10100_LOU", (10, 10, 0)),
        ("000_LOU", (0, 0, 0)),
    ],
)
def test_the_studys_filter_names(name: str, cores: tuple[int, int, float]) -> None:
    config = DataConfig.model_validate({"source": {"path": "x"}, "filter": name})
    assert (config.filter.user_core, config.filter.item_core, config.filter.min_rating) == cores
    assert FilterConfig.from_name(name) == config.filter


def test_a_rehearsal_says_so_and_what_is_none_is_dumped_as_before() -> None:
    data = {"source": {"path": "x"}}
    plain = DataConfig.model_validate(data).split
    rehearsal = DataConfig.model_validate({**data, "split": {"rehearsal": True}}).split
    assert (plain.holdout, rehearsal.holdout) == ("leave_one_out", "leave_one_out (rehearsal)")
    assert "rehearsal" not in plain.model_dump()
    assert rehearsal.model_dump()["rehearsal"] is True


@pytest.mark.parametrize("name", ["550", "55_LOU", "550_ROU", "101000_LOU", ""])
def test_other_filter_names_are_refused(name: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="550_LOU or 1000_LOU"):
        DataConfig.model_validate({"source": {"path": "x"}, "filter": name})


@pytest.mark.parametrize(
    "source",
    [
        {"format": "plain", "fields": {"title": "name"}},
        {"format": "amazon2014", "columns": {"user_id": "reviewerID"}},
    ],
)
def test_a_column_mapping_that_would_not_be_used_is_refused(source: dict) -> None:
    with pytest.raises(pydantic.ValidationError, match="format: tables"):
        SourceConfig.model_validate({"path": "x", **source})


def test_settings_survive_a_round_trip_through_json() -> None:
    config = DataConfig.model_validate(
        {
            "source": {"path": "x", "format": "tables", "fields": {"title": "name"}},
            "filter": "550_LOU",
            "text": {"fields": ["title"]},
        }
    )
    assert DataConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "text", [{"fields": []}, {"fields": ["title", "title"]}, {"line": "{field}"}]
)
def test_text_settings_without_meaning_are_refused(text: dict) -> None:
    with pytest.raises(pydantic.ValidationError):
        TextConfig.model_validate(text)


@pytest.mark.parametrize(
    ("split", "holdout", "ties"),
    [
        ({}, "leave_one_out", "source"),
        ({"tie_break": "shuffle", "seed": 4}, "leave_one_out", "shuffle (seed 4)"),
        (
            {"kind": "global_time", "test_from": "2014-05-31"},
            "global_time (valid from 0.8, test from 2014-05-31)",
            "source",
        ),
    ],
)
def test_a_split_says_what_it_is(split: dict, holdout: str, ties: str) -> None:
    config = DataConfig.model_validate({"source": {"path": "x"}, "split": split})
    assert (config.split.holdout, config.split.ties) == (holdout, ties)
    assert DataConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "split",
    [
        {"kind": "by_moon"},
        {"valid_from": 0.5},
        {"kind": "global_time", "min_history": 4},
        {"kind": "global_time", "valid_from": 1.5},
    ],
)
def test_split_settings_without_meaning_are_refused(split: dict) -> None:
    with pytest.raises(pydantic.ValidationError):
        DataConfig.model_validate({"source": {"path": "x"}, "split": split})
