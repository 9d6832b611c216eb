import pytest
import torch
import torch.nn.functional as F

from tiger_pipeline.generation import full_softmax


@pytest.mark.parametrize("at_once", [1, 70, 10**6])
def test_equals_cross_entropy_over_all_logits(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_softmax, "_LOGITS_AT_ONCE", at_once)
    torch.manual_seed(0)
    queries = (3 * torch.randn(17, 8)).requires_grad_()
    keys = torch.randn(23, 8, requires_grad=True)
    targets = torch.randint(23, (17,))
    expected = F.cross_entropy(queries @ keys.T, targets, reduction="sum")
    wanted = torch.autograd.grad(0.3 * expected, (queries, keys))
    loss = full_softmax.full_softmax_loss(queries, keys, targets)
    found = torch.autograd.grad(0.3 * loss, (queries, keys))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(found, wanted)


def test_large_logits_do_not_overflow() -> None:
    queries, keys = torch.tensor([[200.0]]), torch.tensor([[1.0], [-1.0]])
    assert full_softmax.full_softmax_loss(queries, keys, torch.tensor([1])).item() == 400.0


def test_no_targets_cost_nothing() -> None:
    queries = torch.empty(0, 4, requires_grad=True)
    keys = torch.randn(5, 4, requires_grad=True)
    loss = full_softmax.full_softmax_loss(queries, keys, torch.empty(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert not keys.grad.any()
