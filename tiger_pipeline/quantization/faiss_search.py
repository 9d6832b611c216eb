"""Exact nearest-codeword search with FAISS, on its GPU or on the processor's threads."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.compute_device import explain_out_of_memory
from tiger_pipeline.quantization.faiss_build import faiss_gpu, load_faiss

if TYPE_CHECKING:
    import faiss

_FEWEST_ROWS_A_THREAD = 256


def search_nearest(
    vectors: np.ndarray, codebook: np.ndarray, neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest codewords of each vector, on the GPU if there is one (see `faiss_gpu`).

    Args:
        vectors: float32[n, d].
        codebook: float32[k, d].
        neighbors: codewords to find for each vector.

    Returns:
        Squared distances float32[n, neighbors], ascending, and codewords int64[n, neighbors];
        beyond k neighbors the distances are huge and the codewords −1. Distances carry the
        rounding of a matrix product, which depends on the whole batch.

    Raises:
        ConfigurationError: FAISS is not installed, or twice; or the GPU's memory is full.
    """
    gpu = faiss_gpu()
    if gpu is not None:
        return _search_on_gpu(gpu, vectors, codebook, neighbors)
    index = load_faiss().IndexFlatL2(codebook.shape[1])
    index.add(codebook)
    threads = max(1, min(_cpu_threads(), len(vectors) // _FEWEST_ROWS_A_THREAD))
    parts = _thread_pool().map(
        lambda part: index.search(part, neighbors), np.array_split(vectors, threads)
    )
    distances, codewords = zip(*parts, strict=True)
    return np.concatenate(distances), np.concatenate(codewords)


@explain_out_of_memory("Free memory of the GPU, or set TIGER_DEVICE=cpu")
def _search_on_gpu(
    gpu: int, vectors: np.ndarray, codebook: np.ndarray, neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    faiss = load_faiss()
    place = faiss.GpuIndexFlatConfig()
    place.device = gpu
    index = faiss.GpuIndexFlatL2(_gpu_resources(gpu), codebook.shape[1], place)
    index.add(codebook)
    return index.search(vectors, neighbors)


@cache
def _gpu_resources(gpu: int) -> "faiss.StandardGpuResources":
    # Making them allocates more than a gigabyte on the GPU: far too slow for every search.
    return load_faiss().StandardGpuResources()


@cache
def _cpu_threads() -> int:
    return load_faiss().omp_get_max_threads()


@cache
def _thread_pool() -> ThreadPoolExecutor:
    """Threads that each search alone.

    Inside one search, FAISS's own threads meet at several barriers and spin there, which is
    several times slower whenever another process takes a core.
    """
    use_one_thread = load_faiss().omp_set_num_threads
    return ThreadPoolExecutor(_cpu_threads(), initializer=lambda: use_one_thread(1))
