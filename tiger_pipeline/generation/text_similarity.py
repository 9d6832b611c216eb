"""Probabilities of the next item from the similarity of texts alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, choose_device
from tiger_pipeline.generation.exclusion import seen_matrix
from tiger_pipeline.generation.recommendations import NO_ITEM

_SIMILARITIES_AT_ONCE = 2**22


@dataclass(frozen=True)
class TextSimilaritySettings:
    """Weights of the text similarity; the defaults were chosen on Beauty's validation set.

    Attributes:
        temperature: of the softmax over cosines.
        history_decay: weight of a history item one step older.
        history_items: most recent items of a history that are used.
        uniform_share: share of the uniform distribution in the mixture.
        neighbors: how many nearest items of each history item may be proposed.
    """

    temperature: float = 0.1
    history_decay: float = 0.6
    history_items: int = 6
    uniform_share: float = 0.05
    neighbors: int = 100


class TextSimilarity:
    """Scores an item by how similar its text is to those of the user's last items.

    With directions e (text embeddings less the warm items' mean direction, of length 1), ages
    a = 0 (last item), 1, … and weights w_a ∝ history_decay^a that sum to 1, the probability of
    item i is (1 − ε) · Σ_a w_a · k(item of age a, i) + ε / n_warm, ε the uniform share, where
    k(j, i) = exp(e_j · e_i / temperature) / Σ_l exp(e_j · e_l / temperature), the sum over warm
    items l ≠ j, and k(j, j) = 0. The probabilities of warm items sum to 1, those of cold ones come
    on top, as with the dense head. Without a history, all items are alike.

    Args:
        warm_text: float32[n_warm, d], text embeddings of the items that a generator was trained on.
        cold_text: float32[n_cold, d], of items that came later; their indices follow.
        device: default: a GPU where there is one.
        settings: weights.
    """

    def __init__(
        self,
        warm_text: np.ndarray,
        cold_text: np.ndarray | None = None,
        device: ComputeDevice | None = None,
        settings: TextSimilaritySettings = TextSimilaritySettings(),
    ) -> None:
        self._settings = settings
        self._device = (device or choose_device()).device
        warm = F.normalize(self._on_device(warm_text), dim=1)
        center = warm.mean(0)
        self._n_warm = len(warm)
        parts = [warm - center]
        if cold_text is not None:
            parts.append(F.normalize(self._on_device(cold_text), dim=1) - center)
        self._directions = F.normalize(torch.cat(parts), dim=1)
        n_items = len(self._directions)
        self._pools = [slice(0, self._n_warm), slice(self._n_warm, n_items)]
        widths = [min(self._settings.neighbors, pool.stop - pool.start) for pool in self._pools]
        # Of each item once it is in a history: the same few items are in most of them.
        self._log_sums = torch.full((n_items,), torch.nan, device=self._device)
        self._nearest = [
            torch.zeros((n_items, k), dtype=torch.int32, device=self._device) for k in widths
        ]
        self._kernels = [torch.zeros((n_items, k), device=self._device) for k in widths]

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, device=self._device)

    @torch.inference_mode()
    def proposals(self, histories: Histories, width: int) -> np.ndarray:
        """See `item_prior.ItemPrior`; the likeliest of what is nearest to one of the last items."""
        recent, weights = self._recent(histories)
        seen = seen_matrix(histories, len(self._directions), self._device)
        sources = recent.clamp(min=0)
        found = []
        for nearest, kernels in zip(self._nearest, self._kernels, strict=True):
            items = nearest[sources].long().flatten(1)
            probability = (weights.unsqueeze(2) * kernels[sources]).flatten(1)
            items, probability = _summed(items, probability)
            probability = probability.masked_fill(seen.gather(1, items), 0)
            best, places = probability.topk(min(width, items.shape[1]), dim=1)
            found.append(items.gather(1, places).masked_fill(best <= 0, NO_ITEM))
        return torch.cat(found, dim=1).cpu().numpy()

    @torch.inference_mode()
    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Log-probabilities float32[n, m] of items int[n, m], for each of n histories."""
        recent, weights = self._recent(histories)
        candidates = self._on_device(items.astype(np.int64))
        probability = torch.empty(candidates.shape, device=self._device)
        per_user = max(1, candidates.shape[1] * self._directions.shape[1])
        for rows in _blocks(len(candidates), per_user):
            sources = recent[rows].clamp(min=0)
            cosines = self._directions[sources] @ self._directions[candidates[rows]].mT
            log_kernel = cosines / self._settings.temperature
            log_kernel -= self._log_sums[sources].nan_to_num().unsqueeze(2)
            itself = sources.unsqueeze(2) == candidates[rows].unsqueeze(1)
            kernel = log_kernel.exp().masked_fill(itself, 0)
            probability[rows] = (weights[rows].unsqueeze(2) * kernel).sum(1)
        share = torch.where(weights.sum(1) > 0, self._settings.uniform_share, 1.0).unsqueeze(1)
        mixed = (1 - share) * probability + share / self._n_warm
        return mixed.log().cpu().numpy()

    def _recent(self, histories: Histories) -> tuple[Tensor, Tensor]:
        """The last items int64[n, a], `NO_ITEM` beyond a history's length, and their weights."""
        ages = np.arange(min(self._settings.history_items, int(histories.lengths.max(initial=1))))
        places = histories.offsets[1:, None] - 1 - ages
        known = ages < histories.lengths[:, None]
        items = np.full(known.shape, NO_ITEM, dtype=np.int64)
        items[known] = histories.items[places[known]]
        weights = np.where(known, self._settings.history_decay**ages, 0.0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        self._prepare(self._on_device(np.unique(items[known])))
        return self._on_device(items), self._on_device(weights.astype(np.float32))

    def _prepare(self, items: Tensor) -> None:
        """Know the sums and the nearest items of `items`."""
        unknown = items[self._log_sums[items].isnan()]
        for rows in _blocks(len(unknown), len(self._directions)):
            part = unknown[rows]
            logits = self._directions[part] @ self._directions.T / self._settings.temperature
            logits[torch.arange(len(part)), part] = -torch.inf
            log_sums = logits[:, : self._n_warm].logsumexp(1)
            for pool, nearest, kernels in zip(
                self._pools, self._nearest, self._kernels, strict=True
            ):
                best, places = logits[:, pool].topk(nearest.shape[1], dim=1)
                nearest[part] = (places + pool.start).int()
                kernels[part] = (best - log_sums.unsqueeze(1)).exp()
            self._log_sums[part] = log_sums


def _blocks(n: int, values_each: int) -> Iterator[slice]:
    """Parts of n rows, small enough for a matrix with so many values a row."""
    rows = max(1, _SIMILARITIES_AT_ONCE // values_each)
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


def _summed(items: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's values summed by item: at the last place of each item, 0 at the others.

    Args:
        items: int64[n, m], with repeats.
        values: float32[n, m], not negative.

    Returns:
        Items int64[n, m], ascending, and values float32[n, m].
    """
    items, order = items.sort(dim=1)
    sums = values.gather(1, order).cumsum(1)
    is_last = torch.ones_like(items, dtype=torch.bool)
    is_last[:, :-1] = items[:, 1:] != items[:, :-1]
    ends = torch.where(is_last, sums, 0).cummax(1).values
    before = F.pad(ends[:, :-1], (1, 0))
    return items, torch.where(is_last, sums - before, 0)
