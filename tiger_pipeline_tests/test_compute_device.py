import pytest
import torch

from tiger_pipeline.compute_device import (
    ComputeDevice,
    choose_device,
    copy_to,
    cpu,
    explain_out_of_memory,
    requested_gpu,
)
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline_tests.devices import like_gpu, needs_gpu, threads


def pretend(monkeypatch: pytest.MonkeyPatch, gpus: int, bfloat16: bool = True) -> None:
    """Have torch say that it finds GPUs, which emulate bfloat16 if they do not have it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: bfloat16 or including_emulation,
    )


@pytest.mark.parametrize(
    ("asked", "gpus", "bfloat16", "device", "dtype"),
    [
        (None, 0, False, "cpu", None),
        ("", 0, False, "cpu", None),
        (None, 1, False, "cuda", None),
        (None, 2, True, "cuda", torch.bfloat16),
        ("cpu", 2, True, "cpu", None),
        ("CUDA", 1, True, "cuda", torch.bfloat16),
        ("cuda:1", 2, True, "cuda:1", torch.bfloat16),
    ],
)
def test_device_and_precision_are_chosen(
    monkeypatch: pytest.MonkeyPatch,
    asked: str | None,
    gpus: int,
    bfloat16: bool,
    device: str,
    dtype: torch.dtype | None,
):
    pretend(monkeypatch, gpus, bfloat16)
    monkeypatch.delenv("TIGER_DEVICE", raising=False)
    monkeypatch.delenv("TIGER_PRECISION", raising=False)
    if asked is not None:
        monkeypatch.setenv("TIGER_DEVICE", asked)
    chosen = choose_device()
    assert (str(chosen.device), chosen.autocast_dtype) == (device, dtype)
    assert chosen.is_cpu == (device == "cpu")
    assert (chosen.steps_between_reads == 1) == chosen.is_cpu


@pytest.mark.parametrize(
    ("asked", "gpus", "message"),
    [
        ("gpu", 1, "TIGER_DEVICE is 'gpu'. Set it to cpu, cuda, or cuda:N"),
        ("cuda:-1", 1, "Set it to cpu, cuda, or cuda:N"),
        ("cuda", 0, "'cuda', but PyTorch finds no GPU.*nvidia-smi.*tiger doctor"),
        ("cuda:2", 2, "'cuda:2', but PyTorch finds 2: cuda:0 … cuda:1"),
    ],
)
def test_a_device_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, asked: str, gpus: int, message: str
):
    pretend(monkeypatch, gpus)
    monkeypatch.setenv("TIGER_DEVICE", asked)
    with pytest.raises(ConfigurationError, match=message):
        choose_device()


@pytest.mark.parametrize(
    ("asked", "gpus", "dtype"),
    [
        ("", 0, None),
        ("float32", 0, None),
        ("bfloat16", 0, torch.bfloat16),
        ("float32", 1, None),
        (" BFloat16", 1, torch.bfloat16),
    ],
)
def test_the_precision_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, asked: str, gpus: int, dtype: torch.dtype | None
):
    pretend(monkeypatch, gpus, bfloat16=False)
    monkeypatch.delenv("TIGER_DEVICE", raising=False)
    monkeypatch.setenv("TIGER_PRECISION", asked)
    assert choose_device().autocast_dtype == dtype


def test_a_precision_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIGER_PRECISION", "float16")
    with pytest.raises(
        ConfigurationError, match=r"TIGER_PRECISION is 'float16'\. Set it to float32 or bfloat16"
    ):
        choose_device()


@pytest.mark.parametrize(
    ("asked", "gpu"), [("", 0), ("cuda", 0), ("cuda:3", 3), ("cpu", None), (" CPU ", None)]
)
def test_the_gpu_of_what_runs_without_torch(
    monkeypatch: pytest.MonkeyPatch, asked: str, gpu: int | None
):
    monkeypatch.setenv("TIGER_DEVICE", asked)
    assert requested_gpu() == gpu


def test_the_processor_computes_in_float32():
    with cpu().autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_what_a_gpu_does_in_bfloat16_is_done_in_it():
    with like_gpu().autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_gpu_may_use_tf32_and_the_processor_may_not():
    before = torch.get_float32_matmul_precision()
    with ComputeDevice(torch.device("cuda"), None).autocast():
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before
    with cpu().autocast():
        assert torch.get_float32_matmul_precision() == before


def test_seeded_draws_are_the_same_and_disturb_no_others():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with cpu().seeded(7):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with cpu().seeded(7):
        assert torch.equal(torch.rand(3), first)


def test_gradients_of_indexed_rows_are_added_in_the_same_order_every_time():
    weights = torch.randn(50, 64)
    rows, gradient = torch.randint(50, (20_000,)), torch.randn(20_000, 64)

    def gradient_of_weights() -> torch.Tensor:
        leaf = weights.clone().requires_grad_()
        leaf[rows].backward(gradient)
        assert leaf.grad is not None
        return leaf.grad

    with threads(4), cpu().seeded(7):
        first, *others = [gradient_of_weights() for _ in range(10)]
        assert all(torch.equal(first, other) for other in others)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nDetails"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        RuntimeError("Error in faiss: cudaMalloc error out of memory [2]"),
        MemoryError(),
    ],
)
def test_too_little_memory_names_what_to_lower(error: Exception):
    with pytest.raises(
        ConfigurationError, match=r"Lower training\.tokens_per_batch, and"
    ) as caught:
        with explain_out_of_memory("Lower training.tokens_per_batch"):
            raise error
    assert "Details" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_memory_that_cannot_be_had_on_the_processor_is_such_an_error():
    with pytest.raises(ConfigurationError, match="Lower the size, and"):
        with explain_out_of_memory("Lower the size"):
            torch.empty(2**58)


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="shapes"):
        with explain_out_of_memory("Lower the size"):
            raise RuntimeError("shapes do not match")


def test_a_copy_to_the_processor_is_the_tensor_itself():
    tensor = torch.arange(3)
    assert copy_to(tensor, torch.device("cpu")) is tensor


@needs_gpu
def test_a_gpu_computes_in_its_precision_and_from_its_seed():
    device = choose_device()
    with device.autocast():
        ones = torch.ones(2, 2, device=device.device)
        assert (ones @ ones).dtype == (device.autocast_dtype or torch.float32)
    with device.seeded(7):
        first = torch.rand(3, device=device.device)
    with device.seeded(7):
        assert torch.equal(torch.rand(3, device=device.device), first)


@needs_gpu
def test_a_gpu_gets_its_copy_whole_and_may_be_empty():
    device = choose_device().device
    for tensor in (torch.arange(10**6), torch.empty(0, dtype=torch.int64)):
        copied = copy_to(tensor, device)
        assert copied.device.type == "cuda"
        assert torch.equal(copied.cpu(), tensor)
