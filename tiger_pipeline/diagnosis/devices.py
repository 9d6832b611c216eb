"""Devices, precision, threads and memory."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tiger_pipeline.compute_device import (
    DEVICE_VARIABLE,
    PRECISION_VARIABLE,
    choose_device,
    requested_precision,
)
from tiger_pipeline.diagnosis.finding import Finding
from tiger_pipeline.errors import ConfigurationError

_AREA = "Devices"
_CGROUP = Path("/sys/fs/cgroup")
_GIB = 2**30
_LITTLE_MEMORY = 2 * _GIB


def check_devices() -> Iterator[Finding]:
    """The GPUs that PyTorch finds, and the device and precision that will be used."""
    try:
        import torch
    except Exception as error:
        # Missing or mismatched CUDA libraries surface as OSError, ImportError and others.
        advice = "Install it again: pip install --force-reinstall torch -c constraints.txt"
        yield Finding(_AREA, "PyTorch", f"cannot be imported ({error})", "error", advice)
        return
    build = f"CUDA {torch.version.cuda} build" if torch.version.cuda else "CPU build"
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    yield _gpus_of(build, n_gpus, has_driver())
    for index in range(n_gpus):
        properties = torch.cuda.get_device_properties(index)
        memory = f"{properties.total_memory / _GIB:.0f} GiB"
        yield Finding(_AREA, f"cuda:{index}", f"{properties.name}, {memory}")
    yield check_chosen_device()


def check_chosen_device() -> Finding:
    """What networks will run on."""
    try:
        device = choose_device()
    except ConfigurationError as error:
        variables = (DEVICE_VARIABLE, PRECISION_VARIABLE)
        asked = ", ".join(f"{v}={os.environ[v]}" for v in variables if os.environ.get(v))
        return Finding(_AREA, "will use", asked, "error", str(error))
    precision = str(device.autocast_dtype or "torch.float32").removeprefix("torch.")
    found = f"{device.device} in {precision}"
    if device.is_cpu or device.autocast_dtype is not None or requested_precision():
        return Finding(_AREA, "will use", found)
    advice = "This GPU has no bfloat16: networks run in float32, slower and in more memory."
    return Finding(_AREA, "will use", found, "warning", advice)


def _gpus_of(build: str, n_gpus: int, driver: bool) -> Finding:
    found = f"{build}, finds {n_gpus} GPUs"
    if n_gpus or not driver:
        return Finding(_AREA, "PyTorch", found)
    advice = (
        "There is an NVIDIA driver, but PyTorch cannot use a GPU. Install a CUDA build of PyTorch "
        "that this driver supports, and the extra `gpu` of this project."
    )
    return Finding(_AREA, "PyTorch", found, "warning", advice)


def has_driver() -> bool:
    """Whether an NVIDIA driver is installed."""
    return Path("/proc/driver/nvidia/version").is_file() or bool(shutil.which("nvidia-smi"))


def check_threads(cgroup: Path = _CGROUP, threads: int | None = None) -> Finding:
    """Threads of a computation, against the processors that this process may use.

    Args:
        cgroup: where the limits of a container are.
        threads: default: those that PyTorch will use.
    """
    if threads is None:
        import torch

        threads = torch.get_num_threads()
    allowed = _processors(cgroup)
    found = f"{threads}, on {allowed:g} of {os.cpu_count()} processors"
    if threads <= max(1, allowed):
        return Finding(_AREA, "threads", found)
    advice = f"More threads than processors wait for each other: set OMP_NUM_THREADS={allowed:.0f}."
    return Finding(_AREA, "threads", found, "warning", advice)


def _processors(cgroup: Path) -> float:
    affinity = getattr(os, "sched_getaffinity", None)
    own = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    return min(own, int(quota) / int(period)) if quota.isdigit() and period.isdigit() else own


def check_memory(cgroup: Path = _CGROUP, meminfo: Path = Path("/proc/meminfo")) -> Finding:
    """Memory that is free, within the limits of a container."""
    sizes = dict(line.partition(":")[::2] for line in _read(meminfo).splitlines())
    if "MemTotal" not in sizes:
        return Finding(_AREA, "memory", "unknown")
    total, free = (int(sizes[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if limit.isdigit() and used.isdigit():
        total, free = min(total, int(limit)), min(free, int(limit) - int(used))
    found = f"{free / _GIB:.1f} GiB free of {total / _GIB:.1f} GiB"
    if free >= _LITTLE_MEMORY:
        return Finding(_AREA, "memory", found)
    advice = "A run takes 2 GiB and more: end other programs, or give the container more."
    return Finding(_AREA, "memory", found, "warning", advice)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
