"""One codebook fitted by k-means, each of whose codewords is used."""

import numpy as np

from tiger_pipeline.progress import ProgressTask
from tiger_pipeline.quantization.kmeans import fit_kmeans
from tiger_pipeline.quantization.nearest import nearest_codewords, squared_distances
from tiger_pipeline.quantization.vectors import row_blocks


def fit_codebook(
    vectors: np.ndarray,
    start: np.ndarray,
    iterations: int,
    tolerance: float,
    generator: np.random.Generator,
    task: ProgressTask,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a codebook, each of whose codewords is the nearest of at least one vector.

    Args:
        vectors: float32[n, d] with at least k distinct rows.
        start: float32[k, d], the centroids that k-means starts from.
        iterations: largest number of iterations of k-means.
        tolerance: see `kmeans.fit_kmeans`.
        generator: of all draws.
        task: advanced by `iterations` in all.

    Returns:
        The codebook float32[k, d], and the codes int64[n] of the vectors.
    """
    codebook = fit_kmeans(vectors, start, iterations, tolerance, generator, task)
    # The last update can leave a codeword without a vector. Moving it onto a vector that is not
    # described exactly lowers the inertia, so this ends.
    while True:
        codes = nearest_codewords(vectors, codebook)
        unused = np.flatnonzero(np.bincount(codes, minlength=len(codebook)) == 0)
        if not len(unused):
            return codebook, codes
        errors = np.concatenate(
            [
                squared_distances(vectors[block], codebook[codes[block]])
                for block in row_blocks(len(vectors))
            ]
        )
        rows = generator.choice(
            len(errors),
            size=min(len(unused), int(np.count_nonzero(errors))),
            replace=False,
            p=errors / errors.sum(),
        )
        codebook[unused[: len(rows)]] = vectors[rows]
