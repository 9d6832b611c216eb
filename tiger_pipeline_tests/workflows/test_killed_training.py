"""`kill -9` in the middle of an epoch, and a restart: only the lost half epoch is noticed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tiger_pipeline_tests.workflows.killed_training import USERS

ALONE = ("-m",)
IN_TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def train(
    folder: Path, *kill_after: int, launch: tuple[str, ...] = ALONE
) -> subprocess.CompletedProcess[str]:
    module = "tiger_pipeline_tests.workflows.killed_training"
    return subprocess.run(
        [sys.executable, *launch, module, str(folder), *map(str, kill_after)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_killed_training_ends_bit_for_bit_like_an_undisturbed_one(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr

    killed = train(tmp_path / "killed", USERS * 5 // 2)
    assert killed.returncode == -signal.SIGKILL
    assert "Epoch 2" in killed.stdout
    assert "Epoch 3" not in killed.stdout
    assert not (tmp_path / "killed" / "generator").exists()

    resumed = train(tmp_path / "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.startswith("Training goes on after epoch 2.")
    assert not (tmp_path / "killed" / "work").exists()

    assert_same_training(tmp_path)


@pytest.mark.slow
def test_processes_of_which_one_was_killed_end_like_undisturbed_ones(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", launch=(*IN_TWO, "-m"))
    assert whole.returncode == 0, whole.stderr

    restarting = (*IN_TWO, "--max-restarts", "1", "-m")
    killed = train(tmp_path / "killed", USERS * 5 // 2, launch=restarting)
    assert killed.returncode == 0, killed.stderr
    assert (tmp_path / "killed" / "died").exists()
    before, after = killed.stdout.split("Training goes on after epoch 2.")
    assert "Epoch 2" in before
    assert "Epoch 3" in after
    assert_same_training(tmp_path)


def assert_same_training(tmp_path: Path) -> None:
    """The folders `whole` and `killed` hold the same generator, of the same loss curve."""
    folders = [tmp_path / name / "generator" for name in ("whole", "killed")]
    weights = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert weights[0] == weights[1]
    curves = [
        [{**row, "seconds": None} for row in json.loads((folder / "history.json").read_text())]
        for folder in folders
    ]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 4
    fusion = [json.loads((folder / "config.json").read_text())["fusion"] for folder in folders]
    assert fusion[0] == fusion[1]
