import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from tiger_pipeline.quantization.kmeans import fit_kmeans
from tiger_pipeline_tests.quantization.synthetic import all_squared_distances, blobs


class CountedIterations:
    def __init__(self) -> None:
        self.advanced = 0
        self.inertias: list[float] = []

    def advance(self, amount: int = 1, **figures: float) -> None:
        self.advanced += amount
        self.inertias += figures.values()


def fit(vectors, start, iterations, tolerance=0.0, seed=0):
    task = CountedIterations()
    generator = np.random.default_rng(seed)
    return fit_kmeans(vectors, start, iterations, tolerance, generator, task), task


def inertia(vectors, centroids):
    return all_squared_distances(vectors, centroids).min(axis=1).sum()


def plain_lloyd(vectors, centroids, iterations):
    """The textbook: assign all, average all; no cluster may become empty."""
    for _ in range(iterations):
        labels = all_squared_distances(vectors, centroids).argmin(axis=1)
        centroids = np.stack(
            [vectors[labels == cluster].mean(axis=0) for cluster in range(len(centroids))]
        )
    return centroids


@pytest.mark.parametrize("iterations", [1, 2, 5, 60])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_skips_only_distances_that_cannot_matter(iterations, seed):
    vectors = blobs(700, 6, centers=9, seed=seed, spread=0.7)
    start = vectors[np.random.default_rng(seed).choice(700, 12, replace=False)]
    centroids, _ = fit(vectors, start, iterations)
    np.testing.assert_allclose(centroids, plain_lloyd(vectors, start, iterations), atol=1e-4)


def test_reaches_the_inertia_of_scikit_learn_from_the_same_start():
    vectors = blobs(900, 10, centers=30, seed=3, spread=0.5)
    start = vectors[:25]
    reference = KMeans(25, init=start, n_init=1, max_iter=200, tol=0).fit(vectors)
    centroids, task = fit(vectors, start, 200)
    assert inertia(vectors, centroids) == pytest.approx(reference.inertia_, rel=1e-4)
    assert task.advanced == 200
    assert len(task.inertias) < 200, "it should notice that nothing changes any more"


def test_tolerance_ends_early_and_costs_little():
    vectors = blobs(900, 10, centers=30, seed=3, spread=0.5)
    exact, long_run = fit(vectors, vectors[:25], 200)
    loose, short_run = fit(vectors, vectors[:25], 200, tolerance=1e-2)
    assert len(short_run.inertias) < len(long_run.inertias)
    assert inertia(vectors, loose) <= 1.1 * inertia(vectors, exact)


def test_empty_clusters_get_vectors():
    vectors = blobs(200, 3, centers=20, seed=0)
    start = np.full((20, 3), 50, np.float32)
    start[0] = vectors.mean(axis=0)
    centroids, _ = fit(vectors, start, 30)
    used = np.unique(all_squared_distances(vectors, centroids).argmin(axis=1))
    assert len(used) == 20


def test_as_many_clusters_as_distinct_vectors_describe_all_exactly():
    vectors = np.repeat(np.arange(6, dtype=np.float32)[:, None], 5, axis=0)
    centroids, _ = fit(vectors, np.float32([[0.1], [0.2], [0.3], [9], [9], [9]]), 50)
    np.testing.assert_array_equal(np.sort(centroids[:, 0]), np.arange(6))


@given(st.integers(0, 10_000), st.integers(2, 12), st.sampled_from([0.05, 0.5, 2.0]))
@settings(max_examples=25, deadline=None)
def test_inertia_never_rises(seed, clusters, spread):
    vectors = blobs(150, 4, centers=6, seed=seed, spread=spread)
    start = np.random.default_rng(seed).normal(size=(clusters, 4)).astype(np.float32)
    _, task = fit(vectors, start, 20, seed=seed)
    assert (np.diff(task.inertias) <= 1e-4 * task.inertias[0]).all()
