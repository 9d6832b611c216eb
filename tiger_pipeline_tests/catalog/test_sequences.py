import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.errors import InputError


def table(rows: list[tuple[str, str, str]]) -> pa.Table:
    users, items, splits = zip(*rows, strict=True)
    return pa.table({"user_id": users, "item_id": items, "split": splits})


ROWS = [
    ("u", "a", "train"), ("u", "b", "train"), ("u", "c", "valid"), ("u", "a", "test"),
    ("short", "c", "train"),
    ("v", "b", "train"), ("v", "c", "valid"), ("v", "d", "test"),
]  # fmt: skip


def as_lists(histories) -> dict[int, list[int]]:
    return {int(user): histories[i].tolist() for i, user in enumerate(histories.users)}


def test_training_complete_and_evaluation_histories() -> None:
    sequences = UserSequences.from_table(table(ROWS), ["a", "b", "c", "d"])
    assert (sequences.n_users, sequences.n_items) == (3, 4)
    assert list(sequences.user_ids) == ["u", "short", "v"]
    assert as_lists(sequences.training()) == {0: [0, 1], 1: [2], 2: [1]}
    assert as_lists(sequences.complete()) == {0: [0, 1, 2, 0], 1: [2], 2: [1, 2, 3]}

    histories, targets = sequences.evaluation("valid")
    assert as_lists(histories) == {0: [0, 1], 2: [1]}
    assert targets.tolist() == [2, 2]
    histories, targets = sequences.evaluation("test")
    assert as_lists(histories) == {0: [0, 1, 2], 2: [1, 2]}
    assert targets.tolist() == [0, 3]


def test_select_takes_rows_in_the_given_order() -> None:
    complete = UserSequences.from_table(table(ROWS), list("abcd")).complete()
    chosen = complete.select(np.array([2, 0, 2]))
    assert [chosen[i].tolist() for i in range(len(chosen))] == [[1, 2, 3], [0, 1, 2, 0], [1, 2, 3]]
    assert chosen.lengths.tolist() == [3, 4, 3]
    assert len(complete.select(np.array([], dtype=int))) == 0


def test_an_item_without_index_is_named() -> None:
    with pytest.raises(InputError, match=r"Row 7 .*user 'v'.* item 'd'"):
        UserSequences.from_table(table(ROWS), ["a", "b", "c"])


def test_rows_that_are_not_grouped_by_user_are_refused() -> None:
    with pytest.raises(InputError, match="not grouped by user"):
        UserSequences.from_table(table([ROWS[0], ROWS[4], ROWS[1]]), list("abcd"))
