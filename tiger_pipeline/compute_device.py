"""The one place that decides on which device, and in which precision, networks run."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ComputeDevice:
    """A device and the precision of the matrix products on it.

    Attributes:
        device: where weights and batches live; weights are float32 on every device.
        autocast_dtype: dtype that autocast uses, or None for plain float32.
    """

    device: torch.device
    autocast_dtype: torch.dtype | None

    @property
    def is_cpu(self) -> bool:
        """Whether this is the processor."""
        return self.device.type == "cpu"

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which networks run in this device's precision."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)


def cpu() -> ComputeDevice:
    """The processor, in float32: bit-identical from run to run with the same thread count."""
    return ComputeDevice(torch.device("cpu"), None)


def choose_device() -> ComputeDevice:
    """CUDA where there is a GPU, in bfloat16 where it knows that type; else the processor.

    float16 is never chosen: T5 encoders overflow in it, and training would need loss scaling.
    """
    if not torch.cuda.is_available():
        return cpu()
    dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    return ComputeDevice(torch.device("cuda"), dtype)
