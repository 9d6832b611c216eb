"""Recommendations by several scores together: codes, dense head, and priors from outside.

Each score proposes its own best items; what any of them proposes is scored by all of them, and
ranked by what a small network makes of these scores (`fusion_network`). Every score of a candidate
is exact: codes are teacher-forced, the dense head is a softmax over the whole catalog.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice
from tiger_pipeline.generation.beam_search import beam_search, largest
from tiger_pipeline.generation.catalog_tries import ColdItemTries
from tiger_pipeline.generation.exclusion import closed_states, seen_matrix
from tiger_pipeline.generation.fusion_network import N_FEATURES, FusionNetwork, fusion_features
from tiger_pipeline.generation.generator import DenseGenerator, DensePrefixes
from tiger_pipeline.generation.item_prior import ItemPriors
from tiger_pipeline.generation.recommendations import NO_ITEM
from tiger_pipeline.generation.recommender import Ranked, Searcher, SearchingRecommender
from tiger_pipeline.generation.teacher_forcing import semantic_id_logp, states_of_items
from tiger_pipeline.generation.trie_tensors import TrieTensors
from tiger_pipeline.semantic_ids.trie import NO_STATE, SemanticIdTrie

_VALUES_AT_ONCE = 2**22


@dataclass(frozen=True)
class ScoredCandidates:
    """Candidates of some users with all that their rank may depend on.

    Attributes:
        items: int64[n, m], ascending, each once; `NO_ITEM` at the end of shorter rows.
        logp: float32[n, m, 4], by each of `fusion_network.SCORES`; 0 where there is no item.
        seen: bool[n, m], in the user's own history.
        best: float32[n, 4], the highest log-probability of a warm candidate that was not seen, by
            each score; 0 where there is none.
    """

    items: np.ndarray
    logp: np.ndarray
    seen: np.ndarray
    best: np.ndarray

    def select(self, rows: np.ndarray | slice) -> "ScoredCandidates":
        """The users at `rows` (a mask bool[n], indices, or a slice)."""
        return ScoredCandidates(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["ScoredCandidates"]) -> "ScoredCandidates":
        """The users of all `parts` (one at least), in their order."""
        width = max(part.items.shape[1] for part in parts)
        columns = []
        for field in fields(cls):
            filler = NO_ITEM if field.name == "items" else 0
            arrays = [getattr(part, field.name) for part in parts]
            if field.name in ("items", "logp", "seen"):
                arrays = [_widened(array, width, filler) for array in arrays]
            columns.append(np.concatenate(arrays))
        return cls(*columns)

    def allowed(self, exclude_seen: bool) -> np.ndarray:
        """bool[n, m], where there is an item that may be recommended."""
        is_item = self.items != NO_ITEM
        return is_item & ~self.seen if exclude_seen else is_item

    def features(self) -> np.ndarray:
        """See `fusion_features`."""
        return fusion_features(self.logp, self.best)

    def fused(self, network: FusionNetwork, exclude_seen: bool) -> np.ndarray:
        """float32[n, m], the fused scores; −inf where there is no item, or it is excluded."""
        scores = np.empty(self.items.shape, dtype=np.float32)
        values = self.items.shape[1] * (N_FEATURES + 2 * len(network.last))
        rows_at_once = max(1, _VALUES_AT_ONCE // max(1, values))
        for start in range(0, len(scores), rows_at_once):
            rows = slice(start, start + rows_at_once)
            scores[rows] = network.score(self.select(rows).features())
        scores += network.seen * self.seen
        return np.where(self.allowed(exclude_seen), scores, -np.inf).astype(np.float32)

    def ranked(self, network: FusionNetwork, exclude_seen: bool) -> tuple[np.ndarray, np.ndarray]:
        """Items int64[n, m] and fused scores float32[n, m], best first, `NO_ITEM` at the end.

        Of equal scores, the lower item comes first.
        """
        scores = self.fused(network, exclude_seen)
        order = np.argsort(-scores, axis=1, kind="stable")
        found = np.take_along_axis(scores, order, axis=1)
        items = np.take_along_axis(self.items, order, axis=1)
        return np.where(np.isfinite(found), items, NO_ITEM), found


def _widened(array: np.ndarray, width: int, filler: int) -> np.ndarray:
    widths = [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, widths, constant_values=filler)


class FusedRecommender(SearchingRecommender["_Pool"]):
    """Ranks what codes, dense head and priors propose by all of their scores together."""

    def __init__(
        self,
        model: DenseGenerator,
        trie: SemanticIdTrie,
        priors: ItemPriors,
        network: FusionNetwork,
        beams: int | Sequence[int],
        users_per_batch: int,
        device: ComputeDevice | None = None,
        cold: ColdItemTries | None = None,
    ) -> None:
        """Search `trie` with `model` beside the other scores.

        Args:
            model: moved to `device` and used as it is at the time of each call.
            trie: of the semantic IDs that the model was built for.
            priors: over the same items, and over those of `cold`.
            network: that makes one score of all.
            beams: width of the search, or widths by depth; the last one is also the number of
                items that each other score proposes, and at least that which will be asked for.
            users_per_batch: users searched for together; bounds memory.
            device: default: a GPU where there is one.
            cold: tries of the cold items that the model was told of (`Generator.on_catalog`).

        Raises:
            ArtifactMismatchError: the trie's codebooks are not those of the model.
        """
        searcher = Searcher(model, trie, beams, users_per_batch, device, cold)
        cold_pool = None if searcher.cold_trie is None else _Pool.of(searcher.cold_trie)
        super().__init__(searcher, model, _Pool.of(searcher.trie), cold_pool)
        self._model: DenseGenerator = model
        self._priors = priors
        self._network = network

    def candidates(self, histories: Histories) -> Iterator[tuple[np.ndarray, ScoredCandidates]]:
        """Each user's warm candidates: the best unseen items by each score, and all seen items.

        Yields:
            Rows int64[n] of `histories` and their candidates, batch by batch.
        """
        for rows, (candidates,) in self._scored([self._warm], histories):
            yield rows, candidates

    def _ranked(
        self, pools: Sequence["_Pool"], histories: Histories, exclude_seen: bool
    ) -> Iterator[tuple[np.ndarray, list[Ranked]]]:
        for rows, scored in self._scored(pools, histories):
            yield rows, [pool.ranked(self._network, exclude_seen) for pool in scored]

    @torch.inference_mode()
    def _scored(
        self, pools: Sequence["_Pool"], histories: Histories
    ) -> Iterator[tuple[np.ndarray, list[ScoredCandidates]]]:
        """Candidates of each pool, the first one of warm items; see `candidates`."""
        for rows, prefixes in self._searcher.encoded(histories, self._model.history_encoder):
            users = histories.select(rows)
            dense = prefixes.item_logp()
            seen = seen_matrix(users, dense.shape[1], dense.device)
            width = min(self._searcher.longest_list, dense.shape[1])
            by_priors = torch.from_numpy(self._priors.proposals(users, width).astype(np.int64))
            by_priors = by_priors.to(dense.device)
            scored: list[ScoredCandidates] = []
            for pool in pools:
                best = scored[0].best if scored else None
                scored.append(self._score(pool, users, seen, prefixes, dense, by_priors, best))
            yield rows, scored

    def _score(
        self,
        pool: "_Pool",
        histories: Histories,
        seen: Tensor,
        prefixes: DensePrefixes,
        dense: Tensor,
        by_priors: Tensor,
        best: np.ndarray | None,
    ) -> ScoredCandidates:
        closed = closed_states(histories, pool.trie)
        by_codes = beam_search(prefixes, pool.trie, self._searcher.beams, closed).items
        allowed = dense.masked_fill(seen | ~pool.is_in, -torch.inf)
        found, by_dense = largest(allowed, min(self._searcher.longest_list, dense.shape[1]))
        by_dense = by_dense.masked_fill(found == -torch.inf, NO_ITEM)
        proposed = torch.cat([by_codes, by_dense, by_priors, _padded(histories, dense)], dim=1)
        items = _each_once(proposed, pool.is_in)
        is_item = items != NO_ITEM
        # Whatever stands for no item is scored, too, but counts for nothing.
        known = torch.where(is_item, items, pool.some_item)
        by_codes = semantic_id_logp(prefixes, pool.trie, pool.ways[known])
        scores = all_scores(by_codes, dense, self._priors, histories, known)
        return candidates_of(
            items.cpu().numpy(),
            scores.masked_fill(~is_item.unsqueeze(2), 0).cpu().numpy(),
            (seen.gather(1, known) & is_item).cpu().numpy(),
            best,
        )


@dataclass(frozen=True)
class _Pool:
    """Items that are ranked among themselves: the warm ones, or the cold ones.

    Attributes:
        trie: of their semantic IDs.
        ways: int64[n_items, depth + 1], see `teacher_forcing.states_of_items`.
        is_in: bool[n_items], of all items, warm and cold.
        some_item: int64[], one that is in.
    """

    trie: TrieTensors
    ways: Tensor
    is_in: Tensor
    some_item: Tensor

    @classmethod
    def of(cls, trie: TrieTensors) -> "_Pool":
        is_in = trie.leaf_of_item != NO_STATE
        return cls(trie, states_of_items(trie), is_in, is_in.int().argmax())


def candidates_of(
    items: np.ndarray,
    logp: np.ndarray,
    seen: np.ndarray,
    best: np.ndarray | None = None,
) -> ScoredCandidates:
    """Scored items with all else that their rank depends on.

    Args:
        items: int64[n, m], see `ScoredCandidates`, as the next two.
        logp: float32[n, m, 4].
        seen: bool[n, m].
        best: float32[n, 4], of the users; default: those among `items`.
    """
    if best is None:
        unseen = (items != NO_ITEM) & ~seen
        best = np.where(unseen[:, :, None], logp, -np.inf).max(axis=1, initial=-np.inf)
        best = np.where(np.isfinite(best), best, 0).astype(np.float32)
    return ScoredCandidates(items, logp, seen, best)


def all_scores(
    codes: Tensor, dense: Tensor, priors: ItemPriors, histories: Histories, items: Tensor
) -> Tensor:
    """The scores of some items as `ScoredCandidates.logp` holds them.

    Args:
        codes: float32[n, m], of the items, by their codes.
        dense: float32[n, n_items], of all items, by the dense head.
        priors: asked for the other scores.
        histories: of the n users.
        items: int64[n, m].

    Returns:
        float32[n, m, 4].
    """
    by_priors = torch.from_numpy(priors.logp(histories, items.cpu().numpy())).to(dense)
    by_model = torch.stack([codes, dense.gather(1, items)], dim=2)
    return torch.cat([by_model, by_priors], dim=2)


def _padded(histories: Histories, like: Tensor) -> Tensor:
    """int64[n, longest] the items of each history on the device of `like`, then `NO_ITEM`."""
    lengths = torch.from_numpy(histories.lengths)
    columns = torch.arange(int(lengths.max()) if len(lengths) else 0)
    items = torch.full((len(lengths), len(columns)), NO_ITEM)
    items[columns < lengths.unsqueeze(1)] = torch.from_numpy(histories.items.astype(np.int64))
    return items.to(like.device)


def _each_once(items: Tensor, is_in: Tensor) -> Tensor:
    """Rows of int64[n, m] in ascending order without repeats, `NO_ITEM` at the end.

    Args:
        items: with repeats, and `NO_ITEM` anywhere.
        is_in: bool[n_items]; the other items are left out.

    Returns:
        int64[n, k], k the most items of any row.
    """
    wanted = (items != NO_ITEM) & is_in[items.clamp(min=0)]
    ordered = items.masked_fill(~wanted, NO_ITEM).sort(dim=1).values
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = NO_ITEM
    is_item = ordered != NO_ITEM
    to_the_front = torch.argsort((~is_item).byte(), dim=1, stable=True)
    most = int(is_item.sum(1).max()) if len(items) else 0
    return ordered.gather(1, to_the_front)[:, :most]
