"""Recommendations by several scores together: codes, dense head, and a prior from outside.

Each score proposes its own best items; what any of them proposes is scored by all of them, and
ranked by the weighted sum of their log-probabilities. Every score of a candidate is exact: codes
are teacher-forced, the dense head is a softmax over the whole catalog.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice
from tiger_pipeline.generation.beam_search import beam_search, largest
from tiger_pipeline.generation.exclusion import closed_states, seen_matrix
from tiger_pipeline.generation.generator import DenseGenerator, DensePrefixes
from tiger_pipeline.generation.recommendations import NO_ITEM, Recommendations
from tiger_pipeline.generation.recommender import Searcher
from tiger_pipeline.generation.teacher_forcing import semantic_id_logp, states_of_items
from tiger_pipeline.progress import NoProgress, Progress
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie


class ItemPrior(Protocol):
    """Probabilities of the next item from something else than the network, such as counts."""

    def recommend(self, histories: Histories, top_k: int, exclude_seen: bool) -> Recommendations:
        """See `recommendations.Recommender.recommend`."""

    def logp(self, histories: Histories, items: np.ndarray) -> np.ndarray:
        """Finite log-probabilities float[n, m] of items int[n, m], for each of n histories."""


@dataclass(frozen=True)
class FusionWeights:
    """How much each score counts.

    Attributes:
        codes: weight of the semantic ID's log-probability.
        dense: weight of the dense head's log-probability.
        prior: weight of the prior's log-probability.
        seen: added to an item of the user's own history, where these are candidates.
    """

    codes: float = 1.0
    dense: float = 1.0
    prior: float = 0.0
    seen: float = 0.0

    def of_scores(self) -> np.ndarray:
        """float32[3], in the order of `ScoredCandidates.logp`."""
        return np.array([self.codes, self.dense, self.prior], dtype=np.float32)


@dataclass(frozen=True)
class ScoredCandidates:
    """Candidates of some users with all that their rank may depend on.

    Attributes:
        items: int64[n, m], ascending, each once; `NO_ITEM` at the end of shorter rows.
        logp: float32[n, m, 3], by codes, dense head and prior; 0 where there is no item.
        seen: bool[n, m], in the user's own history.
    """

    items: np.ndarray
    logp: np.ndarray
    seen: np.ndarray

    def select(self, rows: np.ndarray) -> "ScoredCandidates":
        """The users at `rows` (a mask bool[n], or indices)."""
        return ScoredCandidates(self.items[rows], self.logp[rows], self.seen[rows])

    def fused(self, weights: FusionWeights, exclude_seen: bool) -> np.ndarray:
        """float32[n, m], the weighted sums; −inf where there is no item, or it is excluded."""
        scores = self.logp @ weights.of_scores()
        scores += np.float32(weights.seen) * self.seen
        allowed = self.items != NO_ITEM
        if exclude_seen:
            allowed &= ~self.seen
        return np.where(allowed, scores, -np.inf).astype(np.float32)


class FusedRecommender:
    """Ranks what codes, dense head and prior propose by all of their scores together."""

    def __init__(
        self,
        model: DenseGenerator,
        trie: SemanticIdTrie,
        prior: ItemPrior,
        weights: FusionWeights,
        beams: int | Sequence[int],
        users_per_batch: int,
        device: ComputeDevice | None = None,
    ) -> None:
        """Search `trie` with `model` beside the other scores.

        Args:
            model: moved to `device` and used as it is at the time of each call.
            trie: of the semantic IDs that the model was built for.
            prior: over the same items.
            weights: of the scores.
            beams: width of the search, or widths by depth; the last one is also the number of
                items that each other score proposes, and at least that which will be asked for.
            users_per_batch: users searched for together; bounds memory.
            device: default: a GPU where there is one.

        Raises:
            ArtifactMismatchError: the trie's codebooks are not those of the model.
        """
        self._searcher = Searcher(model, trie, beams, users_per_batch, device)
        self._model = model
        self._prior = prior
        self._weights = weights
        self._ways = states_of_items(self._searcher.trie)

    @property
    def search(self) -> str:
        """How items are found, in words."""
        return self._searcher.search

    def recommend(
        self,
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None = None,
    ) -> Recommendations:
        """See `recommendations.Recommender`; `logp` holds the weighted sums.

        Raises:
            ConfigurationError: `top_k` is more than the width of the search.
        """
        self._searcher.check_length(top_k)
        items = np.full((len(histories), top_k), NO_ITEM, dtype=np.int32)
        logp = np.full((len(histories), top_k), -np.inf, dtype=np.float32)
        task = (progress or NoProgress()).task("Recommending", len(histories), "users")
        with task as reported:
            for rows, candidates in self.candidates(histories):
                scores = candidates.fused(self._weights, exclude_seen)
                # Stable: of equal scores, the lower item first.
                order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
                found = np.take_along_axis(scores, order, axis=1)
                chosen = np.take_along_axis(candidates.items, order, axis=1)
                items[rows, : order.shape[1]] = np.where(np.isfinite(found), chosen, NO_ITEM)
                logp[rows, : order.shape[1]] = found
                reported.advance(len(rows))
        return Recommendations(items, logp)

    @torch.inference_mode()
    def candidates(self, histories: Histories) -> Iterator[tuple[np.ndarray, ScoredCandidates]]:
        """Each user's candidates: the best unseen items by each score, and all seen items.

        Yields:
            Rows int64[n] of `histories` and their candidates, batch by batch.
        """
        for rows, prefixes in self._searcher.encoded(histories, self._model.encode):
            yield rows, self._score(histories.select(rows), prefixes)

    def _score(self, histories: Histories, prefixes: DensePrefixes) -> ScoredCandidates:
        searcher = self._searcher
        dense = prefixes.item_logp()
        seen = seen_matrix(histories, dense.shape[1], dense.device)
        width = min(searcher.longest_list, dense.shape[1])
        by_codes = beam_search(
            prefixes, searcher.trie, searcher.beams, closed_states(histories, searcher.trie)
        ).items
        unseen, by_dense = largest(dense.masked_fill(seen, -torch.inf), width)
        by_dense = by_dense.masked_fill(unseen == -torch.inf, NO_ITEM)
        by_prior = torch.from_numpy(
            self._prior.recommend(histories, width, exclude_seen=True).items.astype(np.int64)
        ).to(dense.device)
        items = _each_once(torch.cat([by_codes, by_dense, by_prior, _padded(histories, dense)], 1))
        known = items.clamp(min=0)
        scores = torch.stack(
            [
                semantic_id_logp(prefixes, searcher.trie, self._ways[known]),
                dense.gather(1, known),
                torch.from_numpy(self._prior.logp(histories, known.cpu().numpy())).to(dense),
            ],
            dim=2,
        )
        is_item = items != NO_ITEM
        return ScoredCandidates(
            items=items.cpu().numpy(),
            logp=scores.masked_fill(~is_item.unsqueeze(2), 0).cpu().numpy(),
            seen=(seen.gather(1, known) & is_item).cpu().numpy(),
        )


def _padded(histories: Histories, like: Tensor) -> Tensor:
    """int64[n, longest] the items of each history on the device of `like`, then `NO_ITEM`."""
    lengths = torch.from_numpy(histories.lengths)
    columns = torch.arange(int(lengths.max()) if len(lengths) else 0)
    items = torch.full((len(lengths), len(columns)), NO_ITEM)
    items[columns < lengths.unsqueeze(1)] = torch.from_numpy(histories.items.astype(np.int64))
    return items.to(like.device)


def _each_once(items: Tensor) -> Tensor:
    """Rows of int64[n, m] in ascending order without repeats, `NO_ITEM` at the end.

    Returns:
        int64[n, k], k the most items of any row.
    """
    ordered = items.sort(dim=1).values
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = NO_ITEM
    is_item = ordered != NO_ITEM
    to_the_front = torch.argsort((~is_item).byte(), dim=1, stable=True)
    most = int(is_item.sum(1).max()) if len(items) else 0
    return ordered.gather(1, to_the_front)[:, :most]
