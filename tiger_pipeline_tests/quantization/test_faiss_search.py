from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization import faiss_build, faiss_search
from tiger_pipeline.quantization.faiss_search import search_nearest
from tiger_pipeline_tests.devices import needs_gpu
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances


@pytest.mark.parametrize("n", [1, 255, 1537])
def test_finds_what_brute_force_finds_however_rows_are_split_over_threads(n):
    generator = np.random.default_rng(n)
    vectors = generator.normal(size=(n, 9)).astype(np.float32)
    codebook = generator.normal(size=(17, 9)).astype(np.float32)
    distances, codewords = search_nearest(vectors, codebook, 2)
    expected = all_squared_distances(vectors, codebook)
    np.testing.assert_array_equal(codewords, np.argsort(expected, axis=1)[:, :2])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :2], rtol=1e-4, atol=1e-4)


def test_fewer_codewords_than_neighbors_leave_huge_distances():
    distances, codewords = search_nearest(
        np.ones((3, 2), np.float32), np.ones((1, 2), np.float32), 2
    )
    assert (codewords == [[0, -1]] * 3).all()
    assert (distances[:, 1] > 1e30).all()


class GpuFaiss:
    """FAISS as if it were built for GPUs and found two: its GPU index is that of the processor."""

    def __init__(self, full: bool = False) -> None:
        self.searched_on: list[int] = []
        self._full = full
        self.GpuIndexFlatConfig = SimpleNamespace
        self.StandardGpuResources = object
        self.IndexFlatL2 = faiss.IndexFlatL2
        self.omp_get_max_threads = faiss.omp_get_max_threads

    def get_num_gpus(self) -> int:
        return 2

    def GpuIndexFlatL2(
        self, resources: object, dimension: int, place: SimpleNamespace
    ) -> faiss.IndexFlatL2:
        if self._full:
            raise RuntimeError("Error in cudaMalloc: out of memory")
        self.searched_on.append(place.device)
        return faiss.IndexFlatL2(dimension)


@pytest.fixture
def gpu_faiss(monkeypatch):
    def install(**how):
        fake = GpuFaiss(**how)
        for module in (faiss_build, faiss_search):
            monkeypatch.setattr(module, "load_faiss", lambda: fake)
        return fake

    faiss_search._gpu_resources.cache_clear()
    yield install
    faiss_search._gpu_resources.cache_clear()


@pytest.mark.parametrize(
    ("asked", "searched_on"), [("", [0]), ("cuda:1", [1]), ("cpu", []), ("cuda:2", [])]
)
def test_searches_on_the_gpu_that_networks_use(gpu_faiss, monkeypatch, asked, searched_on):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 9)).astype(np.float32)
    codebook = generator.normal(size=(17, 9)).astype(np.float32)
    monkeypatch.setenv("TIGER_DEVICE", "cpu")
    expected = search_nearest(vectors, codebook, 2)
    fake = gpu_faiss()
    monkeypatch.setenv("TIGER_DEVICE", asked)
    found = search_nearest(vectors, codebook, 2)
    assert fake.searched_on == searched_on
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_full_gpu_says_what_to_do(gpu_faiss):
    gpu_faiss(full=True)
    with pytest.raises(ConfigurationError, match=r"out of memory.*TIGER_DEVICE=cpu"):
        search_nearest(np.ones((3, 2), np.float32), np.ones((2, 2), np.float32), 1)


@needs_gpu
@pytest.mark.skipif(faiss.get_num_gpus() == 0, reason="needs the GPU build of FAISS")
def test_a_gpu_finds_what_the_processor_finds(monkeypatch):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(5000, 64)).astype(np.float32)
    codebook = generator.normal(size=(256, 64)).astype(np.float32)
    found = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("TIGER_DEVICE", device)
        found[device] = search_nearest(vectors, codebook, 2)
    np.testing.assert_allclose(found["cuda"][0], found["cpu"][0], rtol=1e-4)
    assert (found["cuda"][1] == found["cpu"][1]).mean() > 0.999
