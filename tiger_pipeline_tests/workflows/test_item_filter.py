from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.errors import ConfigurationError, InputError
from tiger_pipeline.workflows.item_filter import ItemFilter, read_lines

ITEMS = pa.table(
    {
        "item_id": ["a", "b", "c"],
        "brand": ["Kiln Road", "kiln & co", None],
        "categories": ["Clay", "Yarn > Wool", "Yarn"],
        "n_interactions": [1, 2, 3],
    }
)
ITEM_IDS = np.array(["c", "a", "b", "gone"], dtype=object)


def allowed(**rules) -> list[str]:
    mask = ItemFilter(**rules).allowed(ITEM_IDS, ITEMS)
    return [] if mask is None else ITEM_IDS[mask].tolist()


def test_without_rules_nothing_is_computed():
    assert ItemFilter().allowed(ITEM_IDS, ITEMS) is None


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"only": ["brand=KILN"]}, ["a", "b"]),
        ({"only": ["brand=road", "categories=wool"]}, ["a", "b"]),
        ({"never": ["categories=Yarn"]}, ["a", "gone"]),
        ({"only": ["categories=Yarn"], "never": ["categories=> wool"]}, ["c"]),
    ],
)
def test_rules_choose_by_fields(rules: dict, expected: list[str]):
    assert allowed(**rules) == expected


def test_an_availability_list_keeps_only_its_items(tmp_path: Path):
    (tmp_path / "list.txt").write_text("b\n\n gone \nunknown\n")
    assert allowed(available=tmp_path / "list.txt") == ["b", "gone"]


@pytest.mark.parametrize("rule", ["brand", "brand=", "colour=red", "n_interactions=2"])
def test_a_bad_rule_names_the_fields(rule: str):
    with pytest.raises(ConfigurationError, match="item_id, brand, categories"):
        allowed(only=[rule])


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        read_lines(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.txt is empty"):
        read_lines(tmp_path / "empty.txt")
