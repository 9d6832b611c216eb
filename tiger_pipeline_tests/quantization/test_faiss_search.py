import numpy as np
import pytest

from tiger_pipeline.quantization.faiss_search import search_nearest
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
