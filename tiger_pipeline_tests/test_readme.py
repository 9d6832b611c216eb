"""The README's Python runs, and what it names exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tiger_pipeline.definitions import defs

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_snippets_run(snippet: str):
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "TITLE: " in done.stdout


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link: str):
    assert (CHECKOUT / link).exists()


def test_the_named_scripts_exist():
    for script in re.findall(r"scripts/\w+\.sh", README):
        assert (CHECKOUT / script).is_file()


def test_every_asset_and_job_is_described():
    for spec in defs.resolve_all_asset_specs():
        assert f"`{spec.key.to_user_string()}`" in README
    for job in defs.jobs or []:
        assert f"`{job.name}`" in README


def test_the_calls_select_the_assets_that_tiger_run_selects():
    from tiger_pipeline.cli import DATASET_ASSETS, LEADERBOARD_ASSETS, VARIANT_ASSETS

    selections = re.findall(r"--select (\S+)", README)
    assert selections == [DATASET_ASSETS, VARIANT_ASSETS, LEADERBOARD_ASSETS]
