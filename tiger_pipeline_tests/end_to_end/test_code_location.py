"""The checkout loads with every command that the README names."""

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from tiger_pipeline.orchestration.chained_runs import CHAINED_BY_TAG
from tiger_pipeline_tests.end_to_end.shop import make_shop

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
DAGSTER = (sys.executable, "-m", "dagster")
DG = (str(Path(sys.executable).with_name("dg")),)


@pytest.mark.parametrize("with_home", [True, False], ids=["with home", "without home"])
@pytest.mark.parametrize(
    "command",
    [
        (*DAGSTER, "definitions", "validate"),
        (*DAGSTER, "definitions", "validate", "-w", "workspace.yaml"),
        (*DG, "check", "defs"),
        (*DG, "list", "defs"),
    ],
    ids=lambda command: " ".join(command[-3:]),
)
def test_definitions_load(command: tuple[str, ...], with_home: bool, tmp_path: Path):
    if not shutil.which(command[0]):
        pytest.skip("needs dagster-dg-cli")
    shop = make_shop(tmp_path / "shop", with_home)
    done = subprocess.run(
        command, cwd=CHECKOUT, env=shop.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(CHECKOUT.glob(".tmp_dagster_home_*"))


def test_dg_launches_assets(tmp_path: Path):
    if not shutil.which(DG[0]):
        pytest.skip("needs dagster-dg-cli")
    shop = make_shop(tmp_path / "shop", with_home=True)
    done = subprocess.run(
        [*DG, "launch", "--assets", "items,interactions", "--partition", "shop"],
        cwd=CHECKOUT,
        env=shop.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (shop.store / "items" / "shop.parquet").is_file()


def test_the_whole_pipeline_is_one_job(tmp_path: Path):
    shop = make_shop(tmp_path / "shop", with_home=True)
    (tmp_path / "job.yaml").write_text(
        "execution: {config: {in_process: {}}}\n"
        "ops: {run_all_stages: {config: {dataset: shop, variant: plain, "
        "overrides: [training.max_epochs=1]}}}\n"
    )
    done = shop.call(
        *("dagster", "job", "execute", "-m", "tiger_pipeline.definitions"),
        *("-j", "whole_pipeline", "-c", str(tmp_path / "job.yaml")),
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert (shop.store / "leaderboard" / "shop" / "leaderboard.md").is_file()
    with dg.DagsterInstance.from_config(shop.environment["DAGSTER_HOME"]) as instance:
        runs = {run.job_name: run for run in instance.get_runs()}
    whole = runs.pop("whole_pipeline")
    assert len(runs) == 3
    for chained in runs.values():
        assert chained.tags[CHAINED_BY_TAG] == whole.run_id
        assert chained.tags["dagster/max_retries"] == "0"  # the whole is what is retried
