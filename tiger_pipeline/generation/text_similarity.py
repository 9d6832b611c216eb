"""Probabilities of the next item from the similarity of texts alone."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, choose_device
from tiger_pipeline.generation.beam_search import largest
from tiger_pipeline.generation.recommendations import NO_ITEM

_SIMILARITIES_AT_ONCE = 2**24


@dataclass(frozen=True)
class TextSimilaritySettings:
    """Weights of the text similarity; the defaults were chosen on Beauty's validation set.

    Attributes:
        temperature: of the softmax over cosines.
        history_decay: weight of a history item one step older.
        history_items: most recent items of a history that are used.
        uniform_share: share of the uniform distribution in the mixture.
    """

    temperature: float = 0.1
    history_decay: float = 0.6
    history_items: int = 6
    uniform_share: float = 0.05


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
        # By item, once it was asked for: the same few items are in most histories.
        self._log_sums = torch.full((len(self._directions),), torch.nan, device=self._device)

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, device=self._device)

    @torch.inference_mode()
    def proposals(self, histories: Histories, width: int) -> np.ndarray:
        """See `item_prior.ItemPrior`."""
        n_items = len(self._directions)
        pools = [slice(0, self._n_warm), slice(self._n_warm, n_items)]
        widths = [min(width, pool.stop - pool.start) for pool in pools]
        found = torch.full((len(histories), sum(widths)), NO_ITEM, device=self._device)
        users_at_once = max(1, _SIMILARITIES_AT_ONCE // (n_items * self._settings.history_items))
        for start in range(0, len(histories), users_at_once):
            rows = np.arange(start, min(start + users_at_once, len(histories)))
            users = histories.select(rows)
            probability = self._of_all_items(users)
            owner = np.repeat(np.arange(len(users)), users.lengths)
            probability[owner, users.items.astype(np.int64)] = -torch.inf
            column = 0
            for pool, k in zip(pools, widths, strict=True):
                best, items = largest(probability[:, pool], k)
                items = (items + pool.start).masked_fill(best == -torch.inf, NO_ITEM)
                found[rows, column : column + k] = items
                column += k
        return found.cpu().numpy()

    @torch.inference_mode()
    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Log-probabilities float32[n, m] of items int[n, m], for each of n histories."""
        recent, weights = self._recent(histories)
        candidates = torch.from_numpy(items.astype(np.int64)).to(self._device)
        self._sum_up(recent[recent != NO_ITEM].unique())
        probability = torch.empty(candidates.shape, device=self._device)
        per_user = max(1, candidates.shape[1] * self._directions.shape[1])
        users_at_once = max(1, _SIMILARITIES_AT_ONCE // per_user)
        for start in range(0, len(candidates), users_at_once):
            rows = slice(start, start + users_at_once)
            sources = recent[rows].clamp(min=0)
            cosines = self._directions[sources] @ self._directions[candidates[rows]].mT
            log_kernel = cosines / self._settings.temperature
            log_kernel -= self._log_sums[sources].nan_to_num().unsqueeze(2)
            itself = sources.unsqueeze(2) == candidates[rows].unsqueeze(1)
            kernel = log_kernel.exp().masked_fill(itself, 0)
            probability[rows] = (weights[rows].unsqueeze(2) * kernel).sum(1)
        return self._mixed(probability, weights).log().cpu().numpy()

    def _of_all_items(self, histories: Histories) -> Tensor:
        """Probabilities float32[n, n_items]."""
        recent, weights = self._recent(histories)
        distinct, place = recent.clamp(min=0).unique(return_inverse=True)
        logits = self._directions[distinct] @ self._directions.T / self._settings.temperature
        logits[torch.arange(len(distinct)), distinct] = -torch.inf
        self._log_sums[distinct] = logits[:, : self._n_warm].logsumexp(1)
        kernel = (logits - self._log_sums[distinct].unsqueeze(1)).exp()
        owner = torch.arange(len(recent), device=self._device).unsqueeze(1).expand_as(place)
        mixing = torch.zeros((len(recent), len(distinct)), device=self._device)
        mixing.index_put_((owner.ravel(), place.ravel()), weights.ravel(), accumulate=True)
        return self._mixed(mixing @ kernel, weights)

    def _mixed(self, probability: Tensor, weights: Tensor) -> Tensor:
        share = torch.where(weights.sum(1) > 0, self._settings.uniform_share, 1.0).unsqueeze(1)
        return (1 - share) * probability + share / self._n_warm

    def _recent(self, histories: Histories) -> tuple[Tensor, Tensor]:
        """The last items int64[n, a], `NO_ITEM` beyond a history's length, and their weights."""
        ages = np.arange(min(self._settings.history_items, int(histories.lengths.max(initial=1))))
        places = histories.offsets[1:, None] - 1 - ages
        known = ages < histories.lengths[:, None]
        items = np.full(known.shape, NO_ITEM, dtype=np.int64)
        items[known] = histories.items[places[known]]
        weights = np.where(known, self._settings.history_decay**ages, 0.0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        return self._on_device(items), self._on_device(weights.astype(np.float32))

    def _sum_up(self, items: Tensor) -> None:
        """Know `_log_sums` of these items."""
        unknown = items[self._log_sums[items].isnan()]
        for part in unknown.split(max(1, _SIMILARITIES_AT_ONCE // self._n_warm)):
            warm = self._directions[: self._n_warm]
            logits = self._directions[part] @ warm.T / self._settings.temperature
            is_warm = part < self._n_warm
            logits[torch.arange(len(part))[is_warm], part[is_warm]] = -torch.inf
            self._log_sums[part] = logits.logsumexp(1)
