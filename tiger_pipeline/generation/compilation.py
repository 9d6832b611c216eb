"""Compiling a network's layers with `torch.compile` while it is trained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from tiger_pipeline.errors import ConfigurationError


@contextmanager
def compiled_layers(
    model: nn.Module, backend: str | Callable[..., Any] = "inductor"
) -> Iterator[None]:
    """Have each repeated layer of `model` compiled, in place, when it is first called inside.

    Layers are compiled one by one and not the network as a whole: equal ones share their code, and
    what has shapes of its own in every batch (losses over a catalog, tries) would be compiled again
    and again. Batches differ in size, so shapes are symbolic. Names of weights stay as they are;
    the layers stay compiled.

    Args:
        model: its layers are in `nn.ModuleList`s right below it.
        backend: of `torch.compile`.

    Raises:
        ConfigurationError: the compiler failed.
    """
    from torch._dynamo.exc import TorchDynamoException

    for layers in model.children():
        if isinstance(layers, nn.ModuleList):
            for layer in layers:
                layer.compile(dynamic=True, backend=backend)
    try:
        yield
    except TorchDynamoException as error:
        inner = getattr(error, "inner_exception", error)
        reason = str(inner).strip().partition("\n")[0].rstrip(".")
        raise ConfigurationError(
            f"The network could not be compiled ({reason}). Set training.compile to false, or "
            "install a C++ compiler (Debian: apt install g++)."
        ) from error
