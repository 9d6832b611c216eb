"""Residual k-means of text and interactions together.

Text alone puts apart what the same users buy. So an item's vector is its text beside what the
training histories say of it (`collaborative_vectors`), and items that follow one another share
their first codes. What few interactions say is drawn towards what the text predicts. An item that
came later has nothing but its text: its codes are those of its text and of that prediction.

Collaborative signals in semantic IDs: LETTER (Wang et al. 2024, arXiv:2405.07314) adds them to the
loss of an autoencoder; here they are in the vectors, so that k-means needs no training by epochs.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.errors import ArtifactError, InputError
from tiger_pipeline.progress import Progress
from tiger_pipeline.quantization.codebook_tensors import name_codebooks, read_residual_codebooks
from tiger_pipeline.quantization.collaborative_vectors import (
    cooccurrence_vectors,
    predicted_by_text,
)
from tiger_pipeline.quantization.config import CollaborativeKMeansConfig, ResidualKMeansConfig
from tiger_pipeline.quantization.greedy_codes import assign_by_block, residual_codes
from tiger_pipeline.quantization.residual_kmeans import ResidualKMeans
from tiger_pipeline.quantization.vectors import check_vectors, check_vectors_to_fit, normalize_rows


@dataclass(frozen=True)
class CollaborativeKMeans:
    """A `ResidualKMeans` over blends of two unit vectors; from outside, a quantizer of text.

    Attributes:
        config: how it was fitted.
        kmeans: of the blends.
        center: float32[d], the mean direction of the texts that it was fitted on.
        projection: float32[d, k], from directions of texts, less the center, to what interactions
            would say.
        fitted_codes: int32[n, levels], of the n items that it was fitted on.
        fitted: float32[n, d + k], their blends; None in a quantizer that was loaded.
        history: None, as nothing is trained by epochs.
    """

    config: CollaborativeKMeansConfig
    kmeans: ResidualKMeans
    center: np.ndarray
    projection: np.ndarray
    fitted_codes: np.ndarray
    fitted: np.ndarray | None = field(default=None, repr=False, compare=False)
    history: ClassVar[None] = None

    @classmethod
    def fit(
        cls,
        config: CollaborativeKMeansConfig,
        vectors: np.ndarray,
        progress: Progress,
        training: Histories,
    ) -> "CollaborativeKMeans":
        """Blend, then fit the codebooks level by level.

        Args:
            config: of the blend and of the codebooks.
            vectors: float32[n, d], the text embeddings of the n items.
            progress: told every iteration.
            training: the training interactions of the same items.

        Raises:
            InputError: the vectors are not a finite float32 matrix, or an interaction is of an
                item that has none.
            ConfigurationError: as `ResidualKMeans.fit`.
        """
        check_vectors_to_fit(vectors)
        n_items = len(vectors)
        if training.items.max(initial=-1) >= n_items:
            raise InputError(
                f"An interaction names item {training.items.max()}, but there are {n_items} text "
                "embeddings. Materialize the asset warm_item_embeddings again."
            )
        directions = normalize_rows(vectors)
        center = directions.mean(axis=0)
        text = normalize_rows(directions - center)
        own = cooccurrence_vectors(
            training, n_items, config.dimension, config.window, config.distance_decay
        )
        interactions = np.bincount(training.items, minlength=n_items)
        projection = predicted_by_text(text, own, interactions, config.ridge)
        predicted = text @ projection
        known = (interactions / (interactions + config.shrinkage))[:, None].astype(np.float32)
        blends = _blend(text, predicted + known * (own - predicted), config.interactions_share)
        kmeans = ResidualKMeans.fit(_of_blends(config), blends, progress)
        return cls(config, kmeans, center, projection, kmeans.assign(blends), blends)

    @classmethod
    def from_tensors(
        cls, config: CollaborativeKMeansConfig, tensors: dict[str, np.ndarray]
    ) -> "CollaborativeKMeans":
        """The inverse of `tensors`.

        Raises:
            ArtifactError: one is missing or of another shape than `config` says.
        """
        codebooks = read_residual_codebooks(tensors, config.levels, config.codewords)
        missing = {"center", "projection", "fitted_codes"} - tensors.keys()
        if missing:
            raise ArtifactError(
                f"The tensor {min(missing)} of the quantizer is missing. Materialize the asset "
                "codebooks again."
            )
        kmeans = ResidualKMeans(_of_blends(config), codebooks)
        return cls(
            config, kmeans, tensors["center"], tensors["projection"], tensors["fitted_codes"]
        )

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codewords of each level."""
        return self.kmeans.codebook_sizes

    @property
    def dimension(self) -> int:
        """Dimension d of the text embeddings."""
        return len(self.center)

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """The blends float32[n, d + k] of items of which only the text embeddings are known."""
        text = normalize_rows(normalize_rows(vectors) - self.center)
        return _blend(text, text @ self.projection, self.config.interactions_share)

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32[n, levels] of items of which only the text embeddings are known.

        Those of the items that it was fitted on are `fitted_codes`.
        """
        check_vectors(vectors, self.dimension)
        return assign_by_block(
            vectors,
            self.config.levels,
            lambda block: residual_codes(self.prepare(block), self.kmeans.codebooks),
        )

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """Blends float32[n, d + k] from the first l codes, int32[n, l]."""
        return self.kmeans.reconstruct(codes)

    def tensors(self) -> dict[str, np.ndarray]:
        """All that was fitted, by name."""
        return {
            **name_codebooks(self.kmeans.codebooks),
            "center": self.center,
            "projection": np.ascontiguousarray(self.projection),
            "fitted_codes": np.ascontiguousarray(self.fitted_codes),
        }


def _blend(text: np.ndarray, interactions: np.ndarray, share: float) -> np.ndarray:
    """Two unit vectors an item side by side; `share` of the squared length is interactions'."""
    parts = [np.sqrt(1 - share) * text, np.sqrt(share) * normalize_rows(interactions)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _of_blends(config: CollaborativeKMeansConfig) -> ResidualKMeansConfig:
    shared = set(ResidualKMeansConfig.model_fields) & set(type(config).model_fields) - {"kind"}
    return ResidualKMeansConfig(
        normalize="none", **{name: getattr(config, name) for name in shared}
    )
