"""The one place that decides on which device, and in which precision, networks run.

torch is imported where it is used, so that what computes without it can ask for the device, too.
"""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiger_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import torch

DEVICE_VARIABLE = "TIGER_DEVICE"
"""Environment variable that chooses the device: `cpu`, `cuda`, or `cuda:N`."""

PRECISION_VARIABLE = "TIGER_PRECISION"
"""Environment variable that chooses the precision of networks: `float32` or `bfloat16`."""

_PRECISIONS = ("float32", "bfloat16")
_DEVICE = re.compile(r"cpu|cuda(?::(\d+))?")
_CUDA_STEPS_BETWEEN_READS = 32
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|ALLOC_FAILED")


@dataclass(frozen=True)
class ComputeDevice:
    """A device and the precision of the matrix products on it.

    Attributes:
        device: where weights and batches live; weights are float32 on every device.
        autocast_dtype: dtype that autocast uses, or None for plain float32.
    """

    device: "torch.device"
    autocast_dtype: "torch.dtype | None"

    @property
    def is_cpu(self) -> bool:
        """Whether this is the processor."""
        return self.device.type == "cpu"

    @property
    def steps_between_reads(self) -> int:
        """Training steps after which the host reads the losses.

        Each read waits for a GPU to finish what it was given, so it idles until it has its next
        batch. The processor computes at once: there a read costs nothing.
        """
        return 1 if self.is_cpu else _CUDA_STEPS_BETWEEN_READS

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Context in which networks run in this device's precision.

        On a GPU, the products that autocast leaves in float32 use TF32 meanwhile.
        """
        import torch

        cast: AbstractContextManager[object] = nullcontext()
        if self.autocast_dtype is not None:
            cast = torch.autocast(self.device.type, dtype=self.autocast_dtype)
        with nullcontext() if self.is_cpu else _tf32(), cast:
            yield

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Context in which nothing is cast, inside `autocast`, too."""
        import torch

        with torch.autocast(self.device.type, enabled=False):
            yield

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Context for training that `seed` decides to the bit, however many threads there are.

        Torch draws from `seed`; afterwards its generators are as before. Bits are not promised on a
        GPU.
        """
        import torch

        forked = []
        if not self.is_cpu:
            index = self.device.index
            forked = [torch.cuda.current_device() if index is None else index]
        in_order = _sums_in_order() if self.is_cpu else nullcontext()
        with torch.random.fork_rng(devices=forked), in_order:
            torch.manual_seed(seed)
            yield


@contextmanager
def _sums_in_order() -> Iterator[None]:
    """Context in which the threads of the processor add up gradients in the same order every time.

    Else those of indexed rows are added by whichever thread comes first, and chance has the last
    bits of the weights.
    """
    import torch

    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    # A property of the module, which type checkers do not know.
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        memory.fill_uninitialized_memory = fills


@contextmanager
def _tf32() -> Iterator[None]:
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def cpu() -> ComputeDevice:
    """The processor, in float32: bit-identical from run to run with the same thread count."""
    import torch

    return ComputeDevice(torch.device("cpu"), None)


def choose_device() -> ComputeDevice:
    """What `TIGER_DEVICE` names; else CUDA where there is a GPU; else the processor.

    The precision is what `TIGER_PRECISION` names; else bfloat16 on a GPU whose hardware has it, and
    float32 elsewhere. float16 is never chosen: T5 encoders overflow in it, and training would need
    loss scaling.

    Raises:
        ConfigurationError: `TIGER_DEVICE` is no device, or names a GPU that is not there, or
            `TIGER_PRECISION` is no precision.
    """
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    asked = requested_device()
    on_cpu = asked == "cpu" or (asked is None and not n_gpus)
    device = torch.device("cpu" if on_cpu else asked or "cuda")
    if not on_cpu and (device.index or 0) >= n_gpus:
        raise ConfigurationError(f"{DEVICE_VARIABLE} is {asked!r}, but {_gpus(n_gpus)}")
    precision = requested_precision()
    if precision is None and not on_cpu:
        # Older GPUs emulate bfloat16, several times slower than they compute in float32.
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bfloat16" if has_bfloat16 else "float32"
    return ComputeDevice(device, torch.bfloat16 if precision == "bfloat16" else None)


def requested_precision() -> str | None:
    """What `TIGER_PRECISION` asks for: `float32` or `bfloat16`; None where it is unset or empty.

    Raises:
        ConfigurationError: it is anything else.
    """
    asked = os.environ.get(PRECISION_VARIABLE, "").strip().lower()
    if asked and asked not in _PRECISIONS:
        raise ConfigurationError(
            f"{PRECISION_VARIABLE} is {asked!r}. Set it to {' or '.join(_PRECISIONS)}, or unset it "
            "to compute in bfloat16 on a GPU that has it, and in float32 elsewhere."
        )
    return asked or None


def requested_device() -> str | None:
    """What `TIGER_DEVICE` asks for: `cpu`, `cuda` or `cuda:N`; None where it is unset or empty.

    Raises:
        ConfigurationError: it is anything else.
    """
    asked = os.environ.get(DEVICE_VARIABLE, "").strip().lower()
    if asked and not _DEVICE.fullmatch(asked):
        raise ConfigurationError(
            f"{DEVICE_VARIABLE} is {asked!r}. Set it to cpu, cuda, or cuda:N with the number of a "
            "GPU, or unset it to use a GPU where there is one."
        )
    return asked or None


def requested_gpu() -> int | None:
    """The number of the GPU to use, 0 unless `TIGER_DEVICE` says otherwise; None: use none."""
    asked = requested_device()
    return None if asked == "cpu" else int((asked or "").partition(":")[2] or 0)


def _gpus(n: int) -> str:
    if n:
        return f"PyTorch finds {n}: cuda:0 … cuda:{n - 1}."
    return (
        "PyTorch finds no GPU. Unset it to use the processor, or check the driver (nvidia-smi) and "
        "that this is a CUDA build of PyTorch; `tiger doctor` shows what was found."
    )


def copy_to(tensor: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """The tensor on `device`; to a GPU from pinned memory, without waiting for the copy."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Turn running out of memory, inside, into one error that says what to do.

    Args:
        advice: which setting bounds the memory, such as "Lower training.tokens_per_batch".

    Raises:
        ConfigurationError: in the place of what torch or FAISS raised.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        reason = str(error).strip().partition("\n")[0].rstrip(". ") or "MemoryError"
        raise ConfigurationError(
            f"The memory did not suffice ({reason}). {advice}, and run again: what is finished is "
            "kept."
        ) from error
