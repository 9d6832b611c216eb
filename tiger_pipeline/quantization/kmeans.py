"""k-means of one level: Lloyd's algorithm on all vectors, computing only what can have changed.

Nothing is approximated: the assignments are those of plain Lloyd iterations (Lloyd, "Least squares
quantization in PCM", 1982), up to the rounding of float32 distances.
"""

from dataclasses import dataclass

import numpy as np

from tiger_pipeline.progress import ProgressTask
from tiger_pipeline.quantization.faiss_search import search_nearest
from tiger_pipeline.quantization.vectors import row_blocks

_FULL_SEARCH_SHARE = 0.9
"""With more than this part of the centroids moved, searching all of them anew is cheaper."""


@dataclass
class _Assignment:
    """The nearest centroid of each vector, and what proves that it is the nearest.

    Attributes:
        labels: int64[n], the nearest centroid.
        best: float32[n], squared distance to it.
        others: float32[n], no centroid but the nearest is closer than this (squared).
    """

    labels: np.ndarray
    best: np.ndarray
    others: np.ndarray

    @classmethod
    def search(cls, vectors: np.ndarray, centroids: np.ndarray) -> "_Assignment":
        distances, labels = search_nearest(vectors, centroids, 2)
        return cls(labels[:, 0], distances[:, 0], distances[:, 1])

    def refresh(self, vectors: np.ndarray, centroids: np.ndarray, moved: np.ndarray) -> None:
        """Bring the assignment up to date after some centroids moved.

        Every vector is compared with the moved centroids. That settles all vectors but those
        whose own centroid moved away beyond `others`; only these are compared with every centroid.

        Args:
            vectors: float32[n, d].
            centroids: float32[k, d], as they are now.
            moved: int64[m], indices of those that moved.
        """
        if len(moved) > _FULL_SEARCH_SHARE * len(centroids):
            everything = self.search(vectors, centroids)
            self.labels, self.best, self.others = (
                everything.labels,
                everything.best,
                everything.others,
            )
            return
        distances, nearest = search_nearest(vectors, centroids[moved], 2)
        own_moved = np.zeros(len(centroids), dtype=bool)
        own_moved[moved] = True
        own_moved = own_moved[self.labels]
        best_before = np.where(own_moved, np.inf, self.best).astype(np.float32)
        unsettled = np.flatnonzero(own_moved & (distances[:, 0] > self.others))

        switches = distances[:, 0] < best_before
        runner_up = np.where(switches, np.minimum(distances[:, 1], best_before), distances[:, 0])
        self.labels = np.where(switches, moved[nearest[:, 0]], self.labels)
        self.best = np.where(switches, distances[:, 0], self.best)
        self.others = np.minimum(self.others, runner_up)

        if len(unsettled):
            anew = self.search(vectors[unsettled], centroids)
            self.labels[unsettled] = anew.labels
            self.best[unsettled] = anew.best
            self.others[unsettled] = anew.others

    @property
    def inertia(self) -> float:
        """Sum of the squared distances to the nearest centroids."""
        return float(self.best.sum(dtype=np.float64))

    def fill_empty(
        self, sums: "_ClusterSums", vectors: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Hand every empty cluster a vector, drawn with probability ∝ its squared distance.

        This is the rule of k-means++ (Arthur and Vassilvitskii, 2007): it splits the clusters
        that describe their vectors worst and is not drawn to outliers as "the farthest" is.

        Returns:
            int64[m], the clusters that gained or lost a vector.
        """
        empty = np.flatnonzero(sums.counts == 0)
        weights = np.where(sums.counts[self.labels] > 1, self.best, 0).astype(np.float64)
        drawable = min(len(empty), int(np.count_nonzero(weights)))
        if not drawable:
            return empty[:0]
        rows = generator.choice(
            len(weights), size=drawable, replace=False, p=weights / weights.sum()
        )
        labels = self.labels.copy()
        labels[rows] = empty[:drawable]
        touched = sums.move(vectors, self.labels, labels)
        self.labels = labels
        # A cluster that lost its last vector keeps its centroid, which no later search looks at.
        self.others[rows] = np.minimum(self.others[rows], self.best[rows])
        return touched


class _ClusterSums:
    """Sum (float64[k, d]) and number (int64[k]) of the vectors in each cluster."""

    def __init__(self, vectors: np.ndarray, labels: np.ndarray, clusters: int) -> None:
        self.sums = np.zeros((clusters, vectors.shape[1]))
        self.counts = np.zeros(clusters, dtype=np.int64)
        self.add(vectors, labels, np.arange(len(vectors)), sign=1)

    def add(self, vectors: np.ndarray, labels: np.ndarray, rows: np.ndarray, sign: int) -> None:
        """Add (`sign` 1) or take away (−1) the vectors at `rows`, each for its label."""
        for block in row_blocks(len(rows)):
            block_labels = labels[rows[block]]
            order = np.argsort(block_labels, kind="stable")
            ordered = vectors[rows[block][order]]
            clusters, starts, sizes = np.unique(
                block_labels[order], return_index=True, return_counts=True
            )
            # One sum a cluster is six times as fast as one np.add.reduceat over all of them.
            for cluster, start, size in zip(clusters, starts, sizes, strict=True):
                self.sums[cluster] += sign * ordered[start : start + size].sum(0, dtype=np.float64)
            self.counts[clusters] += sign * sizes

    def move(self, vectors: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Follow a change of labels (int64[n]); returns int64[m], the clusters it touches."""
        rows = np.flatnonzero(before != after)
        self.add(vectors, before, rows, sign=-1)
        self.add(vectors, after, rows, sign=1)
        return np.union1d(before[rows], after[rows])

    def means(self, clusters: np.ndarray) -> np.ndarray:
        """float32[len(clusters), d], the means of clusters that are not empty."""
        return (self.sums[clusters] / self.counts[clusters, None]).astype(np.float32)


def fit_kmeans(
    vectors: np.ndarray,
    centroids: np.ndarray,
    iterations: int,
    tolerance: float,
    generator: np.random.Generator,
    task: ProgressTask,
) -> np.ndarray:
    """Run Lloyd's algorithm from the given centroids.

    All vectors take part in every iteration: there is no subsampling. With tolerance 0 it ends
    before `iterations` only when another iteration would change nothing.

    Args:
        vectors: float32[n, d].
        centroids: float32[k, d], the initial centroids.
        iterations: largest number of centroid updates.
        tolerance: end when an iteration lowers the inertia by less than this part of it.
        generator: of the draws that fill empty clusters.
        task: advanced by `iterations` in all.

    Returns:
        float32[k, d], the centroids.
    """
    centroids = centroids.copy()
    assignment = _Assignment.search(vectors, centroids)
    sums = _ClusterSums(vectors, assignment.labels, len(centroids))
    touched = np.arange(len(centroids))
    inertia = assignment.inertia
    for iteration in range(iterations):
        filled = assignment.fill_empty(sums, vectors, generator)
        touched = np.union1d(touched, filled)
        touched = touched[sums.counts[touched] > 0]
        centroids[touched] = sums.means(touched)
        labels = assignment.labels
        assignment.refresh(vectors, centroids, touched)
        touched = sums.move(vectors, labels, assignment.labels)
        inertia_before, inertia = inertia, assignment.inertia
        task.advance(inertia=inertia)
        if not len(touched) or 0 <= inertia_before - inertia < tolerance * inertia_before:
            task.advance(iterations - iteration - 1)
            break
    return centroids
