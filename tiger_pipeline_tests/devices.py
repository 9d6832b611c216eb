"""Devices for tests: what runs on a GPU, run on the processor, and the GPU where there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tiger_pipeline.compute_device import ComputeDevice

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class LikeGpu(ComputeDevice):
    """The processor, handled as a GPU: losses are read late, in bfloat16 if so asked."""

    steps_between_reads = 3


def like_gpu(dtype: torch.dtype | None = torch.bfloat16) -> ComputeDevice:
    """The processor, with what distinguishes a GPU."""
    return LikeGpu(torch.device("cpu"), dtype)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Context in which torch computes with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
