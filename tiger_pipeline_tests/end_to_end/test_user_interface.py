"""A person's way through the UI: a backfill over variants, its runs, the report's pictures.

Starts the webserver and the daemon, and drives them with a headless Chromium. Set
TIGER_SCREENSHOTS to a folder to keep what the browser saw.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiger_pipeline.cli import DATASET_ASSETS, LEADERBOARD_ASSETS
from tiger_pipeline_tests.end_to_end.shop import Shop, make_shop

pytestmark = pytest.mark.slow

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
if BROWSER is None:
    pytest.skip("needs Chromium", allow_module_level=True)

STARTED_WITHIN = 120
FINISHED_WITHIN = 600
BACKFILL = """
mutation ($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
BACKFILLS = """
{ partitionBackfillsOrError { ... on PartitionBackfills { results { id status } } } }"""
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
    loadStatus locationOrLoadError { __typename } } } } }"""


class Server:
    """A running `dagster dev`."""

    def __init__(self, shop: Shop, port: int) -> None:
        self.shop = shop
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)["data"]

    def wait_until_loaded(self) -> None:
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline:
            try:
                (location,) = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
            except OSError:
                location = {"loadStatus": "not reachable yet"}
            if location["loadStatus"] == "LOADED":
                assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation"
                return
            time.sleep(1)
        pytest.fail(f"not loaded after {STARTED_WITHIN} s: {location}")

    def wait_for_backfills(self, number: int) -> None:
        """Until `number` backfills have ended, all of them well."""
        deadline = time.monotonic() + FINISHED_WITHIN
        status: list[str] = []
        while time.monotonic() < deadline:
            results = self.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
            status = [backfill["status"] for backfill in results]
            if len(status) == number and "REQUESTED" not in status:
                assert set(status) == {"COMPLETED_SUCCESS"}
                return
            time.sleep(2)
        pytest.fail(f"backfills after {FINISHED_WITHIN} s: {status}")

    def backfill(self, assets: str, partitions: list[str]) -> None:
        answer = self.ask(
            BACKFILL,
            parameters={
                "assetSelection": [{"path": [asset]} for asset in assets.split(",")],
                "partitionNames": partitions,
            },
        )
        assert "backfillId" in answer["launchPartitionBackfill"], answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End `dagster dev` with all the processes that it started."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:  # where SIGINT is ignored, it cannot stop its children
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    shop = make_shop(tmp_path_factory.mktemp("shop"), with_home=True)
    server = Server(shop, free_port())
    process = shop.start(
        shop.folder / "server.log",
        *(sys.executable, "-m", "dagster", "dev", "-m", "tiger_pipeline.definitions"),
        *("-h", "127.0.0.1", "-p", server.url.rsplit(":", 1)[1]),
    )
    try:
        server.wait_until_loaded()
        yield server
    finally:
        stop(process)


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    quiet = [f"--disable-{feature}" for feature in ("gpu", "background-networking", "sync")]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--no-first-run", *quiet]
        )
        page = browser.new_page(viewport={"width": 1500, "height": 1100})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def keep_screenshot(page: Any, name: str) -> None:
    if folder := os.environ.get("TIGER_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_lineage_shows_every_stage(server: Server, page: Any):
    page.goto(f"{server.url}/asset-groups")
    for stage in ("catalog", "encoding", "quantization", "semantic_ids", "generation"):
        page.get_by_text(stage, exact=True).first.wait_for()
    keep_screenshot(page, "lineage")


def test_a_backfill_over_variants_runs_from_the_browser(server: Server, page: Any):
    server.backfill(DATASET_ASSETS, ["shop"])
    server.wait_for_backfills(1)

    page.goto(f"{server.url}/locations/__repository__@tiger_pipeline.definitions/jobs/run_variant")
    page.get_by_role("button", name="Materialize").first.click()
    for partitions in (["shop"], ["plain", "by_chance"]):
        page.get_by_text("Select a partition or create one").first.click()
        for partition in partitions:
            # The list draws only as many partitions as fit.
            page.get_by_placeholder("Filter partitions", exact=True).fill(partition)
            page.get_by_role("menuitem").filter(has_text=partition).click()
        keep_screenshot(page, f"choose_{partitions[-1]}")
        page.get_by_text("Launch runs to materialize").click()  # closes the list, not the dialog
    page.get_by_role("button", name="Launch backfill").click()
    server.wait_for_backfills(2)
    server.backfill(LEADERBOARD_ASSETS, ["shop"])
    server.wait_for_backfills(3)

    for variant in ("plain", "by_chance"):
        assert (server.shop.store / "metrics" / "shop" / variant / "report.html").is_file()


def test_the_finished_runs_are_shown(server: Server, page: Any):
    page.goto(f"{server.url}/runs")
    page.get_by_text("Success").first.wait_for()
    keep_screenshot(page, "runs")
    assert page.get_by_text("Failure", exact=True).count() == 0


def test_the_report_shows_its_pictures(server: Server, page: Any):
    page.goto(f"{server.url}/assets/metrics?view=partitions&partition=shop%7Cplain")
    page.get_by_text("report.html").first.wait_for()
    keep_screenshot(page, "metrics")
    page.get_by_text("Show Markdown").last.click()
    assert_picture_is_drawn(page, "training")
    keep_screenshot(page, "metrics_picture")


def test_the_leaderboard_shows_both_variants(server: Server, page: Any):
    page.goto(f"{server.url}/assets/leaderboard?view=partitions&partition=shop")
    page.get_by_text("by_chance").first.wait_for()
    page.get_by_text("plain").first.wait_for()
    keep_screenshot(page, "leaderboard")


def assert_picture_is_drawn(page: Any, title: str) -> None:
    """The browser has decoded the picture, so neither it nor the page's policy is broken."""
    picture = page.get_by_alt_text(title)
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 100
