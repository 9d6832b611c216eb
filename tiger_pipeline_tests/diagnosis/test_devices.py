import os
from pathlib import Path

import pytest
import torch

from tiger_pipeline.diagnosis import devices
from tiger_pipeline.diagnosis.devices import (
    check_chosen_device,
    check_devices,
    check_memory,
    check_threads,
)
from tiger_pipeline_tests.devices import needs_gpu
from tiger_pipeline_tests.test_compute_device import pretend

GIB = 2**30


def container(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text + "\n")
    return folder


def test_a_machine_without_a_gpu(monkeypatch):
    pretend(monkeypatch, gpus=0)
    monkeypatch.delenv("TIGER_DEVICE", raising=False)
    monkeypatch.setattr(devices, "has_driver", lambda: False)
    build, chosen = check_devices()
    assert (build.level, chosen.level) == ("ok", "ok")
    assert "finds 0 GPUs" in build.value
    assert chosen.value == "cpu in float32"


def test_a_driver_that_torch_cannot_use_is_pointed_out(monkeypatch):
    pretend(monkeypatch, gpus=0)
    monkeypatch.setattr(devices, "has_driver", lambda: True)
    build = next(check_devices())
    assert build.level == "warning"
    assert "CUDA build of PyTorch" in build.advice


@pytest.mark.parametrize(
    ("asked", "gpus", "bfloat16", "value", "level"),
    [
        ("", 1, True, "cuda in bfloat16", "ok"),
        ("cuda:1", 2, True, "cuda:1 in bfloat16", "ok"),
        ("", 1, False, "cuda in float32", "warning"),
        ("cuda:1", 1, True, "TIGER_DEVICE=cuda:1", "error"),
        ("tpu", 1, True, "TIGER_DEVICE=tpu", "error"),
    ],
)
def test_what_will_be_used(monkeypatch, asked, gpus, bfloat16, value, level):
    pretend(monkeypatch, gpus, bfloat16)
    monkeypatch.setenv("TIGER_DEVICE", asked)
    monkeypatch.delenv("TIGER_PRECISION", raising=False)
    finding = check_chosen_device()
    assert (finding.value, finding.level) == (value, level)
    assert bool(finding.advice) == (level != "ok")


@pytest.mark.parametrize(
    ("asked", "value", "level"),
    [
        ("float32", "cuda in float32", "ok"),
        ("float16", "TIGER_DEVICE=cuda, TIGER_PRECISION=float16", "error"),
    ],
)
def test_a_precision_that_was_asked_for_is_no_shortcoming(monkeypatch, asked, value, level):
    pretend(monkeypatch, gpus=1)
    monkeypatch.setenv("TIGER_DEVICE", "cuda")
    monkeypatch.setenv("TIGER_PRECISION", asked)
    finding = check_chosen_device()
    assert (finding.value, finding.level) == (value, level)


@needs_gpu
def test_every_gpu_is_listed():
    names = [finding.name for finding in check_devices()]
    assert names.count("cuda:0") == 1
    assert len(names) == 2 + torch.cuda.device_count()


@pytest.mark.parametrize(
    ("quota", "threads", "level"),
    [("max 100000", 1, "ok"), ("50000 100000", 1, "ok"), ("100000 100000", 64, "warning")],
)
def test_threads_within_the_limits_of_a_container(tmp_path, quota, threads, level):
    finding = check_threads(container(tmp_path, cpu_max=quota), threads)
    assert finding.level == level
    assert ("OMP_NUM_THREADS=1" in finding.advice) == (level == "warning")


def test_threads_without_a_container(tmp_path):
    assert check_threads(tmp_path, threads=1).level == "ok"
    assert check_threads(tmp_path, threads=os.cpu_count() + 1).level == "warning"


@pytest.mark.parametrize(
    ("files", "value", "level"),
    [
        ({}, "6.0 GiB free of 8.0 GiB", "ok"),
        ({"memory_max": "max", "memory_current": "5"}, "6.0 GiB free of 8.0 GiB", "ok"),
        (
            {"memory_max": f"{4 * GIB}", "memory_current": f"{3 * GIB}"},
            "1.0 GiB free of 4.0 GiB",
            "warning",
        ),
    ],
)
def test_memory_within_the_limits_of_a_container(tmp_path, files, value, level):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: {8 * 2**20} kB\nMemAvailable:  {6 * 2**20} kB\n")
    finding = check_memory(container(tmp_path, **files), meminfo)
    assert (finding.value, finding.level) == (value, level)


def test_unknown_memory_is_no_error(tmp_path):
    assert check_memory(tmp_path, tmp_path / "meminfo").value == "unknown"
