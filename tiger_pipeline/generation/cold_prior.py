"""What an item prior thinks of items that it has never counted: what it thinks of similar ones."""

import numpy as np

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.item_prior import ItemPrior

NEIGHBORS = 5
_SIMILARITIES_AT_ONCE = 2**25


def nearest_warm_items(
    cold_text: np.ndarray, warm_text: np.ndarray, neighbors: int = NEIGHBORS
) -> np.ndarray:
    """The warm items whose text embeddings have the highest cosine with each cold-start item's.

    Args:
        cold_text: float32[n_cold, d].
        warm_text: float32[n_warm, d].
        neighbors: how many; all warm items where there are fewer.

    Returns:
        int64[n_cold, neighbors], in no particular order.
    """
    neighbors = min(neighbors, len(warm_text))
    warm = warm_text / np.maximum(np.linalg.norm(warm_text, axis=1, keepdims=True), 1e-12)
    chunk = max(1, _SIMILARITIES_AT_ONCE // len(warm))
    found = np.empty((len(cold_text), neighbors), dtype=np.int64)
    for start in range(0, len(cold_text), chunk):
        rows = slice(start, start + chunk)
        similarities = cold_text[rows] @ warm.T
        found[rows] = np.argpartition(-similarities, neighbors - 1, axis=1)[:, :neighbors]
    return found


class CatalogPrior:
    """A prior over warm items that gives a cold item the mean probability of its nearest ones.

    Without it, an item that never followed another would have the lowest prior of all, and no
    score of a network could make up for what is only ignorance.

    Args:
        prior: over the warm items.
        neighbors: int64[n_cold, m] of `nearest_warm_items`.
        n_warm: number of warm items; cold ones have the indices from there on.
    """

    def __init__(self, prior: ItemPrior, neighbors: np.ndarray, n_warm: int) -> None:
        self._prior = prior
        self._neighbors = neighbors
        self._n_warm = n_warm

    def proposals(self, histories: Histories, width: int) -> np.ndarray:
        """Warm items only; see `ItemPrior.proposals`."""
        return self._prior.proposals(self._warm_part(histories), width)

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Log-probabilities float32[n, m] of items int[n, m]; cold ones come on top of sum 1."""
        histories = self._warm_part(histories)
        is_cold = items >= self._n_warm
        if not is_cold.any():
            return self._prior.logp(histories, items)
        stand_ins = np.repeat(items[:, :, None], self._neighbors.shape[1], axis=2)
        stand_ins[is_cold] = self._neighbors[items[is_cold] - self._n_warm]
        logp = self._prior.logp(histories, stand_ins.reshape(len(items), -1))
        probability = np.exp(logp.astype(np.float64)).reshape(stand_ins.shape).mean(axis=2)
        return np.log(probability).astype(np.float32)

    def _warm_part(self, histories: Histories) -> Histories:
        return histories.only(histories.items < self._n_warm)
