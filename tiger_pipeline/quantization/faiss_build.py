"""Which FAISS is installed (exactly one of its two distributions must be), and what it runs on."""

from functools import cache
from importlib import metadata
from types import ModuleType

from tiger_pipeline.compute_device import requested_gpu
from tiger_pipeline.errors import ConfigurationError

_DISTRIBUTIONS = ("faiss-cpu", "faiss-gpu")


def installed_faiss() -> list[str]:
    """Names of the FAISS distributions that are installed."""
    return [name for name in _DISTRIBUTIONS if any(metadata.distributions(name=name))]


def check_faiss_build(installed: list[str]) -> None:
    """Check that exactly one FAISS distribution is installed.

    Args:
        installed: what `installed_faiss` found.

    Raises:
        ConfigurationError: there is none, or there are two, which overwrite each other's files.
    """
    if not installed:
        raise ConfigurationError(
            "FAISS is not installed. Install tiger-pipeline with the extra `cpu` (any machine) or "
            "`gpu` (Linux with an NVIDIA GPU), such as: pip install 'tiger-pipeline[cpu]'."
        )
    if len(installed) > 1:
        raise ConfigurationError(
            f"{' and '.join(installed)} are both installed and overwrite each other's files. "
            f"Run `pip uninstall {' '.join(installed)}`, then install tiger-pipeline with one of "
            "the extras `cpu` and `gpu`."
        )


@cache
def load_faiss() -> ModuleType:
    """The `faiss` module.

    Raises:
        ConfigurationError: FAISS is not installed, or twice.
    """
    check_faiss_build(installed_faiss())
    import faiss

    return faiss


def faiss_gpu() -> int | None:
    """The number of the GPU that FAISS uses; None where it uses the processor.

    It is the GPU that networks use (`TIGER_DEVICE`), if this FAISS was built for GPUs and finds it.

    Raises:
        ConfigurationError: FAISS is not installed, or twice; or `TIGER_DEVICE` is no device.
    """
    gpu = requested_gpu()
    return gpu if gpu is not None and gpu < load_faiss().get_num_gpus() else None
