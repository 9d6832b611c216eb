"""Asking a finished variant: the command, the notebook, chosen users, and the cold-start figure."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tiger_pipeline_tests.end_to_end.shop import Shop, make_shop

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
ASSETS = "items,interactions,item_texts,item_embeddings,warm_item_embeddings"
RECOMMEND = ("tiger_pipeline.cli", "recommend", "--dataset", "shop", "--variant", "plain")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop with a generator and one cold item, `cold`."""
    shop = make_shop(tmp_path_factory.mktemp("asked"), with_home=False)
    variant_assets = "codebooks,semantic_ids,cold_semantic_ids,generator,recommendations"
    for assets, partition in ((ASSETS, "shop"), (variant_assets, "shop|plain")):
        done = shop.materialize(assets, partition)
        assert done.returncode == 0, done.stderr[-5000:]
    return shop


def materialize(shop: Shop, asset: str, config: dict) -> subprocess.CompletedProcess[str]:
    whole = {"execution": {"config": {"in_process": {}}}, "ops": {asset: {"config": config}}}
    return shop.call(
        *("dagster", "asset", "materialize", "-m", "tiger_pipeline.definitions"),
        *("--select", asset, "--partition", "shop|plain", "--config-json", json.dumps(whole)),
    )


def test_the_command_prints_titles_and_times(shop: Shop):
    done = shop.call(*RECOMMEND, "--history", "b0,b1", "--top-k", "3")
    assert done.returncode == 0, done.stderr
    assert "b1  Dragon Tales, volume 1" in done.stdout
    assert re.search(r"^ +1 b\d+  Dragon Tales, volume \d", done.stdout, re.MULTILINE)
    assert "Loaded in" in done.stdout


def test_a_cold_item_is_recommended_as_far_as_epsilon_lets_it(shop: Shop):
    lists = []
    for epsilon in ("0", "1"):
        done = shop.call(
            *RECOMMEND, "--history", "b8,b9", "--top-k", "20", "--epsilon", epsilon,
            "--only", "title=Dragon",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lists.append(done.stdout)
    assert "cold  Dragon Tales, volume 11 (cold start)" not in lists[0]
    assert "cold  Dragon Tales, volume 11 (cold start)" in lists[1]
    assert "Garden Year" not in "".join(lists)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--history", "b00"), "Item 'b00' is not among the 41 items"),
        (("--history", "b0", "--epsilon", "2"), "must be within 0 and 1"),
        (("--history", "b0", "--top-k", "50"), "20 beams"),
        (("--history", "b0", "--variant", "by_chance"), "shop by_chance is not finished"),
        (("--history", "b0", "--variant", "nothing"), "There is no variant 'nothing'"),
    ],
)
def test_mistakes_are_named_without_a_traceback(shop: Shop, arguments: tuple, message: str):
    done = shop.call(*RECOMMEND, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_lists_of_chosen_users_from_available_items(shop: Shop):
    (shop.folder / "available.txt").write_text("\n".join(f"b{k}" for k in range(0, 40, 2)))
    done = materialize(
        shop,
        "recommendations",
        {
            "users": ["u5", "u2"],
            "available_items_file": str(shop.folder / "available.txt"),
            "never": ["title=Garden"],
        },
    )
    assert done.returncode == 0, done.stderr[-5000:]
    rows = pq.read_table(shop.store / "recommendations/shop/plain.parquet").to_pylist()
    assert list(dict.fromkeys(row["user_id"] for row in rows)) == ["u5", "u2"]
    allowed = {f"b{k}" for k in range(0, 40, 2)} - {f"b{k}" for k in range(10, 20)}
    assert {row["item_id"] for row in rows} <= allowed


def test_an_unknown_user_stops_the_run_with_one_message(shop: Shop):
    done = materialize(shop, "recommendations", {"users": ["u5", "u999x"]})
    assert done.returncode == 1
    assert "User 'u999x'" in done.stderr


def test_the_cold_start_figure_is_measured_and_its_generator_kept(shop: Shop):
    for notes in ("Epoch 12", "it is kept"):
        done = shop.materialize("cold_start_metrics", "shop|plain")
        assert done.returncode == 0, done.stderr[-5000:]
        assert notes in done.stderr
    folder = shop.store / "cold_start_metrics/shop/plain"
    names = {path.name for path in folder.iterdir()}
    assert names == {"metrics.parquet", "metrics.json", "report.md", "cold_start.png"}
    rows = pq.read_table(folder / "metrics.parquet").to_pylist()
    recall = {
        (row["model"], row["epsilon"]): row["value"]
        for row in rows
        if (row["targets"], row["k"], row["metric"]) == ("cold", 20, "recall")
    }
    assert recall["plain", 0.0] == recall["Semantic_KNN", 0.0] == 0
    assert recall["plain", 1.0] > 0


def test_the_notebook_runs_as_it_is(shop: Shop, tmp_path: Path):
    """On the shop instead of the demo: only names and ids are replaced."""
    text = (CHECKOUT / "docs" / "recommend.ipynb").read_text(encoding="utf-8")
    for old, new in (
        ('\\"demo\\", \\"item_decoder\\"', '\\"shop\\", \\"plain\\"'),
        ("categories=Needlework", "categories=Dragon"),
        *((item, f"b{k}") for k, item in enumerate(("I0001", "I0002", "I0009", "I0040"))),
    ):
        assert old in text
        text = text.replace(old, new)
    notebook = tmp_path / "recommend.ipynb"
    notebook.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "docs" / "run_notebook.py"), str(notebook)],
        env={**shop.environment, "PYTHONPATH": os.pathsep.join([str(CHECKOUT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    printed = [
        "".join(output["text"])
        for cell in cells
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]
    assert "40 items that the generator was trained on, 1 that came later" in printed[0]
    assert "  1  " in printed[1]
    assert "is not among the 41 items" in printed[-1]


def test_the_committed_notebook_has_the_outputs_of_a_real_run():
    notebook = json.loads((CHECKOUT / "docs" / "recommend.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(output["name"] == "stdout" for cell in code for output in cell["outputs"])
    assert any("cold start" in "".join(o["text"]) for cell in code for o in cell["outputs"])
