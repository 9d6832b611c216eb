import pytest
import torch

from tiger_pipeline.compute_device import choose_device, cpu


@pytest.mark.parametrize(
    ("has_gpu", "has_bfloat16", "device", "dtype"),
    [
        (False, False, "cpu", None),
        (True, False, "cuda", None),
        (True, True, "cuda", torch.bfloat16),
    ],
)
def test_the_best_device_and_precision_are_chosen(
    monkeypatch: pytest.MonkeyPatch,
    has_gpu: bool,
    has_bfloat16: bool,
    device: str,
    dtype: torch.dtype | None,
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bfloat16)
    chosen = choose_device()
    assert (chosen.device.type, chosen.autocast_dtype) == (device, dtype)
    assert chosen.is_cpu == (device == "cpu")


def test_the_processor_computes_in_float32():
    with cpu().autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32


def test_autocast_uses_the_chosen_precision():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    device = choose_device()
    with device.autocast():
        ones = torch.ones(2, 2, device=device.device)
        assert (ones @ ones).dtype == (device.autocast_dtype or torch.float32)
