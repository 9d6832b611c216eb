"""A whole `tiger run` is killed in the middle of a training, as `kill -9` and power cuts do."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest

from tiger_pipeline_tests.end_to_end.shop import Shop, make_shop

pytestmark = pytest.mark.slow

VARIANT = """\
model: {quantizer: {kind: residual_kmeans, levels: 2, codewords: 8, iterations: 5}}
training: {tokens_per_batch: 16, max_epochs: %d, patience: 100000}
"""
SLOW, ENDLESS = VARIANT % 30, VARIANT % 100000
"""A training of seconds, so that it can be killed in the middle, and one that waits for its end."""
DEADLINE_SECONDS = 240


def tiger_run(variant: str) -> tuple[str, ...]:
    return ("tiger_pipeline.cli", "run", "shop", variant)


@contextmanager
def started(shop: Shop, log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m COMMAND…` in a process group of its own, killed when the block ends."""
    process = shop.start(log, sys.executable, "-m", *command)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """`kill -9` for all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def wait_for(process: subprocess.Popen[bytes], log: Path, text: str) -> None:
    """Wait until the log of a living process has the text."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while text not in log.read_text():
        alive = process.poll() is None and time.monotonic() < deadline
        assert alive, f"{text!r} never came:\n{log.read_text()[-5000:]}"
        time.sleep(0.02)


def runs(shop: Shop) -> list[dg.DagsterRun]:
    with dg.DagsterInstance.from_config(shop.environment["DAGSTER_HOME"]) as instance:
        return list(instance.get_runs())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = make_shop(tmp_path_factory.mktemp("killed"), with_home=True)
    for name, text in (("slow", SLOW), ("endless", ENDLESS)):
        (shop.folder / "presets" / "variants" / f"{name}.yaml").write_text(text)
    return shop


def status_of(shop: Shop, run_id: str) -> dg.DagsterRunStatus:
    return next(run.status for run in runs(shop) if run.run_id == run_id)


def test_another_run_waits_for_it_and_goes_on_when_it_is_killed(shop: Shop):
    training_log, waiting_log = shop.folder / "training.log", shop.folder / "waiting.log"
    materialize = ("dagster", "asset", "materialize", "-m", "tiger_pipeline.definitions")
    codebooks = ("--select", "codebooks", "--partition", "shop|by_chance")
    with started(shop, training_log, *tiger_run("endless")) as training:
        wait_for(training, training_log, "Epoch 1:")
        (run,) = (run for run in runs(shop) if run.status == dg.DagsterRunStatus.STARTED)
        with started(shop, waiting_log, *materialize, *codebooks) as waiting:
            wait_for(waiting, waiting_log, "waits for a place in the pool gpu")
            assert status_of(shop, run.run_id) == dg.DagsterRunStatus.STARTED
            kill(training)
            assert waiting.wait(DEADLINE_SECONDS) == 0, waiting_log.read_text()[-5000:]
    told = waiting_log.read_text()
    assert f"Step generator of run {run.run_id} has one." in told
    assert "Nothing here says whether that run is alive" not in told
    assert f"Run {run.run_id} was lost" in told
    assert status_of(shop, run.run_id) == dg.DagsterRunStatus.FAILURE


def test_the_same_command_goes_on_where_it_was_killed(shop: Shop):
    """In the same DAGSTER_HOME, and to the bits of a training that nobody killed."""
    killed_log, again_log = shop.folder / "killed.log", shop.folder / "again.log"
    with started(shop, killed_log, *tiger_run("slow")) as killed:
        wait_for(killed, killed_log, "Epoch 3:")
    assert "Epoch 30:" not in killed_log.read_text()
    with started(shop, again_log, *tiger_run("slow")) as again:
        assert again.wait(DEADLINE_SECONDS) == 0, again_log.read_text()[-5000:]
    assert "was lost" in again_log.read_text()
    assert "Training goes on after epoch" in again_log.read_text()
    assert all(run.is_finished for run in runs(shop))

    weights = shop.store / "generator/shop/slow/model.safetensors"
    resumed = weights.read_bytes()
    shutil.rmtree(weights.parent)
    done = shop.materialize("generator", "shop|slow")
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Epoch 1:" in done.stderr
    assert weights.read_bytes() == resumed
