import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tiger_pipeline.progress import NoProgress
from tiger_pipeline.quantization.balanced_kmeans import fit_balanced_kmeans, largest_size
from tiger_pipeline.quantization.nearest import priced_codewords
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs

VECTORS = blobs(600, 6, centers=5, seed=1, spread=0.6)


def fit(vectors: np.ndarray, clusters: int, iterations: int, largest: int):
    with NoProgress().task("", iterations) as task:
        return fit_balanced_kmeans(vectors, vectors[:clusters], iterations, largest, task)


@pytest.mark.parametrize(
    ("vectors", "codewords", "balance", "largest"),
    [(1000, 10, 1.1, 110), (12101, 256, 1.05, 49), (30, 20, 1.1, 2), (100, 100, 1.0, 1)],
)
def test_the_largest_size_is_a_share_of_the_mean_but_at_least_the_mean(
    vectors, codewords, balance, largest
):
    assert largest_size(vectors, codewords, balance) == largest


def test_sizes_are_even_where_plain_nearest_codewords_are_not():
    centroids, prices = fit(VECTORS, 20, 15, largest=31)
    sizes = np.bincount(priced_codewords(VECTORS, centroids, prices), minlength=20)
    nearest = np.bincount(all_squared_distances(VECTORS, centroids).argmin(1), minlength=20)
    assert sizes.max() <= 31
    assert nearest.max() > 31


def test_the_assignment_costs_little_more_than_the_best_one_of_that_evenness():
    centroids, prices = fit(VECTORS, 20, 5, largest=31)
    distances = all_squared_distances(VECTORS, centroids)
    cost = distances[np.arange(600), priced_codewords(VECTORS, centroids, prices)].sum()
    places = np.repeat(distances, 31, axis=1)
    rows, columns = linear_sum_assignment(places)
    best = places[rows, columns].sum()
    assert best <= cost * (1 + 1e-9)
    assert cost <= 1.01 * best


def test_centroids_are_means_of_balanced_clusters():
    vectors = np.float32([[0], [1], [2], [10], [11], [12], [13], [14]])
    centroids, _ = fit(vectors, 2, 10, largest=4)
    np.testing.assert_allclose(np.sort(centroids[:, 0]), [3.25, 12.5])
