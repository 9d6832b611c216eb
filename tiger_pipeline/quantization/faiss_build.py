"""Which FAISS is installed, and the one place that decides between its CPU and its GPU."""

from functools import cache
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING

from tiger_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np

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


def search_nearest(
    vectors: "np.ndarray", codebook: "np.ndarray", neighbors: int
) -> "tuple[np.ndarray, np.ndarray]":
    """Find the nearest codewords of each vector, on the GPU if this FAISS has one.

    Args:
        vectors: float32[n, d].
        codebook: float32[k, d].
        neighbors: codewords to find for each vector.

    Returns:
        Squared distances float32[n, neighbors], ascending, and codewords int64[n, neighbors];
        beyond k neighbors the distances are huge and the codewords −1. Distances carry the
        rounding of a matrix product, which depends on the whole batch.

    Raises:
        ConfigurationError: FAISS is not installed, or twice.
    """
    faiss = load_faiss()
    index = faiss.IndexFlatL2(codebook.shape[1])
    if faiss.get_num_gpus() > 0:
        index = faiss.index_cpu_to_all_gpus(index)
    index.add(codebook)
    return index.search(vectors, neighbors)
