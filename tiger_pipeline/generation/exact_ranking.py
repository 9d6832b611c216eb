"""Recommendations without a search: every item is scored exactly, and the best are taken.

Slower than beams by orders of magnitude, and what they are measured against: the difference is the
error of the search. The same scores rank a given pool of items, which beams cannot.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, explain_out_of_memory
from tiger_pipeline.generation.beam_search import largest
from tiger_pipeline.generation.exclusion import seen_matrix
from tiger_pipeline.generation.exhaustive import all_item_logp
from tiger_pipeline.generation.fusion import all_scores, candidates_of
from tiger_pipeline.generation.fusion_network import FusionNetwork
from tiger_pipeline.generation.generator import DenseGenerator, DensePrefixes, Generator, Prefixes
from tiger_pipeline.generation.item_prior import ItemPriors
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations
from tiger_pipeline.generation.recommender import Searcher
from tiger_pipeline.generation.teacher_forcing import semantic_id_logp, states_of_items
from tiger_pipeline.progress import NoProgress, Progress
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie

ADVICE_ON_MEMORY = "Lower evaluation.users_per_batch"
"""What bounds the memory of a ranking of all items."""


def best_of_all(
    scores: Tensor, histories: Histories, top_k: int, exclude_seen: bool
) -> Recommendations:
    """The items of highest score; of equal ones, the lower index first.

    Args:
        scores: float32[n, n_items], −inf for what cannot be recommended.
        histories: of the n users.
        top_k: items per user.
        exclude_seen: leave out the items of the user's own history.
    """
    if exclude_seen:
        seen = seen_matrix(histories, scores.shape[1], scores.device)
        scores = scores.masked_fill(seen, -torch.inf)
    best, found = largest(scores, min(top_k, scores.shape[1]))
    found = found.masked_fill(best == -torch.inf, NO_ITEM)
    recommended = Recommendations.empty(len(scores), top_k)
    recommended.put(np.arange(len(scores)), found.cpu().numpy(), best.cpu().numpy())
    return recommended


class ExactRecommender(ABC):
    """Ranks all items of the catalog, or of a given pool, by their exact scores."""

    def __init__(
        self,
        model: Generator,
        trie: SemanticIdTrie,
        users_per_batch: int,
        device: ComputeDevice | None = None,
    ) -> None:
        """Rank the items of `trie` with `model`.

        Args:
            model: moved to `device` and used as it is at the time of each call.
            trie: of the semantic IDs that the model was built for.
            users_per_batch: users scored together; bounds memory.
            device: default: a GPU where there is one.

        Raises:
            ArtifactMismatchError: the trie's codebooks are not those of the model.
        """
        self._searcher = Searcher(model, trie, 1, users_per_batch, device, cold=None)
        self._model = model
        self._ways = states_of_items(self._searcher.trie)

    @abstractmethod
    def _scores(self, prefixes: Prefixes, histories: Histories, items: Tensor | None) -> Tensor:
        """Scores float32[n, m] of items int64[n, m], or float32[n, n_items] of all."""

    @explain_out_of_memory(ADVICE_ON_MEMORY)
    @torch.inference_mode()
    def recommend(
        self,
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None = None,
    ) -> Recommendations:
        """See `recommendations.Recommender`."""
        recommended = Recommendations.empty(len(histories), top_k)
        task = (progress or NoProgress()).task("Recommending", len(histories), "users")
        with task as reported:
            for rows, prefixes in self._searcher.encoded(histories, self._model.history_encoder):
                users = histories.select(rows)
                scores = self._scores(prefixes, users, None)
                found = best_of_all(scores, users, top_k, exclude_seen)
                recommended.put(rows, found.items, found.logp)
                reported.advance(len(rows))
        return recommended

    @explain_out_of_memory(ADVICE_ON_MEMORY)
    @torch.inference_mode()
    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """See `recommendations.PoolRecommender.logp`."""
        scores = np.empty(items.shape, dtype=np.float32)
        for rows, prefixes in self._searcher.encoded(histories, self._model.history_encoder):
            pool = torch.from_numpy(items[rows].astype(np.int64)).to(prefixes.logp.device)
            scores[rows] = self._scores(prefixes, histories.select(rows), pool).cpu().numpy()
        return scores

    def _codes_logp(self, prefixes: Prefixes, items: Tensor | None) -> Tensor:
        trie = self._searcher.trie
        if items is None:
            return all_item_logp(prefixes, trie)
        return semantic_id_logp(prefixes, trie, self._ways[items])


class ExactCodesRecommender(ExactRecommender):
    """Ranks by the log-probability of the semantic ID; see `recommender.GeneratorRecommender`."""

    def _scores(self, prefixes: Prefixes, histories: Histories, items: Tensor | None) -> Tensor:
        return self._codes_logp(prefixes, items)


class ExactFusedRecommender(ExactRecommender):
    """Ranks by codes, dense head and priors together; see `fusion.FusedRecommender`."""

    def __init__(
        self,
        model: DenseGenerator,
        trie: SemanticIdTrie,
        priors: ItemPriors,
        network: FusionNetwork,
        users_per_batch: int,
        device: ComputeDevice | None = None,
    ) -> None:
        """As `ExactRecommender`, with priors over the same items and the network."""
        super().__init__(model, trie, users_per_batch, device)
        self._model: DenseGenerator = model
        self._priors = priors
        self._network = network

    def _scores(
        self,
        prefixes: DensePrefixes,  # type: ignore[override]
        histories: Histories,
        items: Tensor | None,
    ) -> Tensor:
        dense = prefixes.item_logp()
        seen = seen_matrix(histories, dense.shape[1], dense.device)
        codes = self._codes_logp(prefixes, None)
        every = torch.arange(dense.shape[1], device=dense.device).expand(len(dense), -1)
        scored = candidates_of(
            every.cpu().numpy(),
            all_scores(codes, dense, self._priors, histories, every).cpu().numpy(),
            seen.cpu().numpy(),
        )
        scores = torch.from_numpy(scored.fused(self._network, exclude_seen=False)).to(dense.device)
        return scores if items is None else scores.gather(1, items)
