"""The processes that train one network together, each on its share of every batch.

Data parallel: every process holds the whole network and takes the same steps. A batch is planned
as for one process and its rows are dealt out; every target of the batch has the same weight in the
sum of all gradients. So the number of processes changes neither the batches nor the number of
steps, and the loss curve only by rounding (and by dropout, of which every process draws its own).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from tiger_pipeline.compute_device import DEVICE_VARIABLE, choose_device
from tiger_pipeline.errors import ConfigurationError

_LONGEST_WAIT = timedelta(hours=12)
"""Of the processes for the first one, which alone validates; a process that dies is noticed at
once, as its connections close."""


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that train together; by default it is alone.

    Attributes:
        rank: of this process, from 0. The first one validates, saves and reports.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates, saves and reports."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """The rows int64[m] of a batch that this process computes, dealt out in turn."""
        return rows[self.rank :: self.size]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in one exchange.

        Args:
            tensors: float32, of the same shapes in every process, on the device of the training.
        """
        if self.size == 1:
            return
        sums = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(sums)
        parts = sums.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def total(self, count: int) -> int:
        """The sum of a number over all processes; a GPU is not waited for."""
        if self.size == 1:
            return count
        sums = torch.tensor(count)
        dist.all_reduce(sums)
        return int(sums)

    def from_first(self, compute: Callable[[], float]) -> float:
        """What `compute` gives in the first process, which alone calls it; the others wait."""
        if self.size == 1:
            return compute()
        value = torch.tensor(compute() if self.is_first else 0.0, dtype=torch.float64)
        dist.broadcast(value, src=0)
        return float(value)


ALONE = ProcessGroup()
"""The group of a process that trains by itself."""


@contextmanager
def open_process_group() -> Iterator[ProcessGroup]:
    """Join the group that `torchrun` or `accelerate launch` describes in the environment.

    Without such a description this process is alone. With GPUs, each process gets one.

    Raises:
        ConfigurationError: there are more processes than GPUs on this machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    on_gpu = not choose_device().is_cpu
    if on_gpu:
        _take_gpu()
    store, rank, size = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    # `torchrun --max-restarts` keeps the store: addresses of processes that ended are still in it.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    dist.init_process_group(
        # Tensors on the CPU always go through gloo: numbers are exchanged without a GPU.
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
        store=dist.PrefixStore(f"attempt_{attempt}", store),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
        timeout=_LONGEST_WAIT,
    )
    yield ProcessGroup(rank, size)
    # Not after an error: the others may be in the middle of an exchange, and the process ends.
    dist.destroy_process_group()


def one_process_a_gpu() -> int:
    """The number of processes that use this machine's GPUs; 1 without any, or if one is chosen."""
    device = choose_device().device
    return torch.cuda.device_count() if device.type == "cuda" and device.index is None else 1


def _take_gpu() -> None:
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), one_process_a_gpu()
    if here > gpus:
        raise ConfigurationError(
            f"{here} processes were started on this machine, for {gpus} GPUs. Start one a GPU "
            f"(--nproc-per-node {gpus}, or TIGER_PROCESSES=auto); set {DEVICE_VARIABLE} to cpu, or "
            "leave it unset."
        )
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
