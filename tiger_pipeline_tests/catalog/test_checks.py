import pyarrow as pa
import pytest

from tiger_pipeline.catalog.checks import (
    check_interactions,
    check_items,
    check_no_future_in_training,
    check_no_target_in_training,
)

GOOD = [
    ("u", "a", 0, "train", 1), ("u", "b", 1, "train", 1), ("u", "c", 2, "valid", 2),
    ("u", "d", 3, "test", 3), ("v", "b", 0, "train", 1),
]  # fmt: skip
COLUMNS = ("user_id", "item_id", "position", "split", "timestamp")


def interactions(rows: list[tuple] = GOOD) -> pa.Table:
    return pa.table(dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)))


def items(ids: str = "abcde", counts: tuple[int, ...] = (1, 2, 1, 1, 0)) -> pa.Table:
    return pa.table({"item_id": list(ids), "n_interactions": list(counts)})


def changed(row: int, **values: object) -> list[tuple]:
    rows = [dict(zip(COLUMNS, good, strict=True)) for good in GOOD]
    rows[row].update(values)
    return [tuple(one.values()) for one in rows]


def test_a_good_catalog_has_no_problems() -> None:
    assert check_items(items(), interactions()) == []
    assert check_interactions(interactions(), items()) == []
    assert check_no_target_in_training(interactions(), items(), repeats_allowed=False) == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (items("aacde", (1, 2, 1, 1, 0)), "repeat an item id, the first 'a'"),
        (items(["a", "b", "c", "d", ""]), "empty"),
        (items(counts=(1, 2, 1, 1, 1)), "wrong for 1 items, the first 'e'"),
    ],
)
def test_problems_of_items(table: pa.Table, problem: str) -> None:
    assert any(problem in found for found in check_items(table, interactions()))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (changed(0, item_id="z"), "not in items, the first 'z'"),
        ([*GOOD, ("u", "e", 4, "test", 9)], "not grouped"),
        (changed(1, position=2), "positions"),
        (changed(4, position=1), "positions"),
        (changed(1, split="future"), "not one of train, valid, "),
        (changed(1, split="test"), "order train, valid, test"),
        (changed(1, timestamp=0), "go back"),
        (changed(2, split="test"), "several test"),
        ([*GOOD[:1], ("u", "b", 1, "valid", 1), *GOOD[2:]], "several valid"),
        (changed(4, split="test"), "no history before their test target"),
    ],
)
def test_problems_of_interactions(rows: list[tuple], problem: str) -> None:
    assert any(problem in found for found in check_interactions(interactions(rows), items()))


def test_a_target_inside_the_training_sequence() -> None:
    # The test target stands before a training row: the training sequence runs past it.
    rows = [("u", "a", 0, "test", 1), ("u", "b", 1, "train", 2), ("u", "c", 2, "train", 3)]
    [problem] = check_no_target_in_training(interactions(rows), items(), repeats_allowed=False)
    assert problem == "1 test targets lie inside a training sequence."


@pytest.mark.parametrize(("row", "split"), [(2, "valid"), (3, "test")])
def test_a_target_item_that_was_trained_on(row: int, split: str) -> None:
    repeated = interactions(changed(row, item_id="a"))
    [problem] = check_no_target_in_training(repeated, items(), repeats_allowed=False)
    assert problem.startswith(f"1 {split} targets are items")
    assert check_no_target_in_training(repeated, items(), repeats_allowed=True) == []


def test_training_on_the_future() -> None:
    assert check_no_future_in_training(interactions(changed(4, timestamp=2))) == []
    [problem] = check_no_future_in_training(interactions(changed(4, timestamp=3)))
    assert problem.startswith("1 validation or test interactions happened before")


def test_rests_of_a_period_may_repeat_and_need_no_history() -> None:
    rows = [
        ("u", "a", 0, "train", 1), ("u", "b", 1, "valid", 2), ("u", "c", 2, "valid_rest", 2),
        ("u", "d", 3, "valid_rest", 3), ("v", "b", 0, "valid_rest", 2), ("v", "c", 1, "test", 4),
        ("w", "b", 0, "test_rest", 4), ("w", "d", 1, "test_rest", 5),
    ]  # fmt: skip
    assert check_interactions(interactions(rows), items()) == []
    early = [("u", "a", 0, "valid_rest", 1), ("u", "b", 1, "test", 2), ("v", "c", 0, "valid", 2)]
    assert check_interactions(interactions(early), items()) == [
        "1 users have no history before their valid target."
    ]
