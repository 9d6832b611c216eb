import numpy as np
import pytest
from sklearn.cluster import kmeans_plusplus

from tiger_pipeline.quantization.kmeans_initialization import initial_centroids
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs


def test_random_draws_have_the_mean_and_the_covariance_of_the_data():
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(3, 3))
    data = (generator.normal(size=(400, 3)) @ mixing + [1, -2, 3]).astype(np.float32)
    draws = initial_centroids("random", data, 20000, np.random.default_rng(1))
    assert draws.dtype == np.float32
    np.testing.assert_allclose(draws.mean(axis=0), data.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(data.T), atol=0.25)


def test_random_draws_stay_in_the_plane_of_degenerate_data():
    generator = np.random.default_rng(0)
    plane = (generator.normal(size=(50, 2)) @ generator.normal(size=(2, 5))).astype(np.float32)
    draws = initial_centroids("random", plane, 8, generator)
    assert np.linalg.matrix_rank(np.concatenate([plane, draws]), tol=1e-4) == 2


def test_points_are_distinct_vectors_even_when_most_repeat():
    data = np.concatenate([np.zeros((500, 2)), np.arange(14).reshape(7, 2) + 1]).astype(np.float32)
    points = initial_centroids("points", data, 8, np.random.default_rng(0))
    assert {tuple(point) for point in points.tolist()} == {tuple(row) for row in data.tolist()}


def test_kmeans_plus_plus_is_as_good_a_start_as_scikit_learns():
    data = blobs(600, 8, centers=40, seed=0)
    ours, theirs = [], []
    for seed in range(5):
        start = initial_centroids("k-means++", data, 20, np.random.default_rng(seed))
        assert len(np.unique(start, axis=0)) == 20
        assert {tuple(row) for row in start.tolist()} <= {tuple(row) for row in data.tolist()}
        reference, _ = kmeans_plusplus(data, 20, random_state=seed)
        ours.append(all_squared_distances(data, start).min(axis=1).sum())
        theirs.append(all_squared_distances(data, reference).min(axis=1).sum())
    assert np.mean(ours) <= 1.1 * np.mean(theirs)


@pytest.mark.parametrize("initialization", ["random", "points", "k-means++"])
def test_the_seed_decides(initialization):
    data = blobs(100, 4, centers=5, seed=0)
    first, again, other = (
        initial_centroids(initialization, data, 6, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
