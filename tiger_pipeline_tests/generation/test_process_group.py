"""Two gloo processes on the CPU against one process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiger_pipeline.generation.process_group import ALONE, ProcessGroup, open_process_group
from tiger_pipeline.storage.training_state import epoch_seed
from tiger_pipeline_tests.generation.two_processes import CASES, train


def test_a_process_alone_exchanges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_process_group() as group:
        assert group is ALONE
    tensor = torch.arange(3.0)
    ALONE.add_up([tensor])
    assert tensor.tolist() == [0, 1, 2]
    assert ALONE.total(7) == 7
    assert ALONE.from_first(lambda: 0.25) == 0.25
    assert ALONE.share(np.arange(4)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("size", "rows"), [(2, 7), (3, 2), (4, 12)])
def test_every_row_is_dealt_to_one_process(size: int, rows: int) -> None:
    shares = [ProcessGroup(rank, size).share(np.arange(rows)) for rank in range(size)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_processes_draw_different_numbers_and_the_first_as_one_alone() -> None:
    assert epoch_seed(7, 3) == int(np.random.SeedSequence([7, 3]).generate_state(1)[0])
    assert len({epoch_seed(7, 3, rank) for rank in range(8)}) == 8


@pytest.fixture(scope="module")
def in_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """By case, what each of two processes found."""
    folder = tmp_path_factory.mktemp("in_two")
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    module = "tiger_pipeline_tests.generation.two_processes"
    done = subprocess.run(
        [sys.executable, *launch, "-m", module, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {
        case: [json.loads((folder / f"{case} {rank}.json").read_text()) for rank in range(2)]
        for case in CASES
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_as_one_does(
    in_two: dict[str, list[dict[str, Any]]], tmp_path: Path, case: str
) -> None:
    first, second = in_two[case]
    assert first == second
    alone = train(case, tmp_path)
    losses = [row["train_loss"] for row in alone.history]
    assert losses[-1] < losses[0]
    assert first["losses"] == pytest.approx(losses, rel=1e-4)
    weights = [float(p.detach().double().sum()) for p in alone.model.parameters()]
    assert first["weights"] == pytest.approx(weights, rel=1e-2, abs=1e-2)
