"""The committed demo is what its generator makes, and has the structure that it promises."""

import csv
import importlib.util
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from types import ModuleType

import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[2] / "data"
FILES = ("items.tsv", "interactions.tsv")


@pytest.fixture(scope="module")
def make_demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_demo", DATA / "make_demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_demo"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def read_rows(name: str) -> list[dict[str, str]]:
    with open(DATA / "demo" / name, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def items() -> list[dict[str, str]]:
    return read_rows("items.tsv")


@pytest.fixture(scope="module")
def histories() -> dict[str, list[tuple[str, int]]]:
    """Each user's (item_id, timestamp), in the order of the file."""
    histories = defaultdict(list)
    for row in read_rows("interactions.tsv"):
        histories[row["user_id"]].append((row["item_id"], int(row["timestamp"])))
    return histories


@pytest.fixture(scope="module")
def interaction_counts(histories) -> Counter:
    return Counter(item for history in histories.values() for item, _ in history)


def test_command_line_makes_the_committed_files(tmp_path):
    command = [sys.executable, str(DATA / "make_demo.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DATA / "demo" / name).read_bytes()


def test_another_seed_makes_another_shop(make_demo, tmp_path):
    make_demo.make_demo(1, tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() != (DATA / "demo" / name).read_bytes()


def test_a_folder_that_cannot_be_written_gives_one_clear_line(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    command = [sys.executable, str(DATA / "make_demo.py"), "--out", str(tmp_path / "taken" / "x")]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 1
    assert str(tmp_path / "taken") in finished.stderr
    assert "Traceback" not in finished.stderr


def test_files_follow_the_plain_layout():
    for name, n_columns in (("items.tsv", 4), ("interactions.tsv", 3)):
        content = (DATA / "demo" / name).read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
        assert {line.count("\t") + 1 for line in lines} == {n_columns}
    assert sum((DATA / "demo" / name).stat().st_size for name in FILES) < 3_000_000


def test_items_are_distinct_and_titled(items):
    assert 500 <= len(items) <= 700
    assert len({item["item_id"] for item in items}) == len(items)
    assert all(item["title"].strip() == item["title"] != "" for item in items)
    assert not any("{" in item["title"] for item in items)


def test_some_cells_are_empty(items):
    for field in ("brand", "categories"):
        empty = sum(item[field] == "" for item in items)
        assert 0.01 < empty / len(items) < 0.12


def test_six_pairs_share_their_text_and_six_differ_by_one_word(items):
    texts = Counter((item["title"], item["brand"], item["categories"]) for item in items)
    assert sorted(texts.values())[-7:] == [1, 2, 2, 2, 2, 2, 2]
    similar = [text for text in texts if text[0].endswith(" (New)")]
    assert len(similar) == 6
    for title, brand, categories in similar:
        assert (title.removesuffix(" (New)"), brand, categories) in texts


def test_users_are_long_enough_and_never_buy_twice(histories):
    assert len(histories) == 3000
    for history in histories.values():
        bought = [item for item, _ in history]
        assert 6 <= len(bought) <= 25
        assert len(set(bought)) == len(bought)


def test_a_user_never_goes_back_in_time_and_a_few_purchases_share_an_order(histories):
    gaps = np.concatenate([np.diff([time for _, time in h]) for h in histories.values()])
    assert gaps.min() == 0
    assert 0.01 < np.mean(gaps == 0) < 0.1


def test_items_are_warm_or_have_no_interactions(items, interaction_counts):
    known = {item["item_id"] for item in items}
    assert set(interaction_counts) <= known
    assert len(known) - len(interaction_counts) == 30
    assert min(interaction_counts.values()) >= 5


def test_new_arrivals_end_lines_whose_other_products_sell(make_demo):
    shop = make_demo.make_shop(Random(0), make_demo.read_tastes())
    with_arrival = [line for line in shop.lines if line.released < len(line.products)]
    assert len(with_arrival) == 30
    for line in with_arrival:
        assert line.released == len(line.products) - 1 >= 3


def test_between_15_and_25_percent_of_purchases_are_off_taste(make_demo):
    shop = make_demo.make_shop(Random(0), make_demo.read_tastes())
    taste_of = {row: line.taste for line in shop.lines for rows in line.products for row in rows}
    off_taste = []
    for seed in range(200):
        shopper = make_demo.Shopper(Random(seed), shop, n_tastes=2)
        off_taste += [taste_of[shopper.buy()] not in shopper.tastes for _ in range(12)]
    assert 0.15 < np.mean(off_taste) < 0.25


def test_the_last_transition_predicts_far_better_than_popularity(items, histories):
    """Full ranking with seen items masked; the last purchase is the target."""
    index = {item["item_id"]: i for i, item in enumerate(items)}
    sequences = [[index[item] for item, _ in history] for history in histories.values()]
    popularity = np.zeros(len(items))
    transitions = np.zeros((len(items), len(items)))
    for sequence in sequences:
        np.add.at(popularity, sequence[:-2], 1)
        np.add.at(transitions, (sequence[:-3], sequence[1:-2]), 1)
    by_popularity = mean_ndcg_at_10(sequences, lambda last: popularity)
    by_transition = mean_ndcg_at_10(sequences, lambda last: transitions[last])
    assert 0.01 < by_popularity < 0.03
    assert 0.25 < by_transition < 0.45


def mean_ndcg_at_10(sequences, scores_after) -> float:
    gains = []
    for *history, target in sequences:
        scores = scores_after(history[-1]).astype(float)
        scores[history] = -np.inf
        rank = np.count_nonzero(scores > scores[target])
        gains.append(1 / np.log2(rank + 2) if rank < 10 and scores[target] > 0 else 0.0)
    return float(np.mean(gains))
