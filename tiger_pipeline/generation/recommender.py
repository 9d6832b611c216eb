"""Recommendations by a trained generator: encode, search, restore the order of the users."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import torch

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, choose_device, explain_out_of_memory
from tiger_pipeline.errors import ArtifactMismatchError, ConfigurationError
from tiger_pipeline.generation.beam_search import beam_search, widths_by_depth
from tiger_pipeline.generation.catalog_tries import ColdItemTries
from tiger_pipeline.generation.cold_share import WarmAndCold
from tiger_pipeline.generation.cold_trie import ColdTrie
from tiger_pipeline.generation.exclusion import closed_states
from tiger_pipeline.generation.generator import Generator, Prefixes
from tiger_pipeline.generation.recommendations import Recommendations
from tiger_pipeline.generation.trie_tensors import TrieTensors, trie_tensors
from tiger_pipeline.progress import NoProgress, Progress
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie

PrefixesT = TypeVar("PrefixesT", bound=Prefixes)
Pool = TypeVar("Pool")
Ranked: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Items and their scores."""

ADVICE_ON_MEMORY = "Lower evaluation.users_per_batch, or evaluation.beams"
"""What bounds the memory of a search."""


class Searcher:
    """What every recommender with a generator needs: the trie, the device, batches of users.

    Attributes:
        trie: on the device.
        cold_trie: likewise, of the cold items; None without any.
        beams: width of the search, or widths by depth; see `beam_search`.
        longest_list: how many items a search finds at most.
    """

    def __init__(
        self,
        model: Generator,
        trie: SemanticIdTrie,
        beams: int | Sequence[int],
        users_per_batch: int,
        device: ComputeDevice | None,
        cold: ColdItemTries | None,
    ) -> None:
        """See `GeneratorRecommender`."""
        if trie.codebook_sizes != model.codebook_sizes:
            raise ArtifactMismatchError(
                f"The generator was built for codebooks of {model.codebook_sizes} codes, the trie "
                f"has {trie.codebook_sizes}. Use the semantic IDs that the generator was trained "
                "on."
            )
        if not isinstance(beams, int) and len(beams) > trie.depth:
            raise ConfigurationError(
                f"evaluation.beams lists {len(beams)} widths, but the semantic IDs have at most "
                f"{trie.depth} codes. Leave the last ones out."
            )
        self._device = device or choose_device()
        self._model = model.to(self._device.device)
        self._users_per_batch = users_per_batch
        self.trie = trie_tensors(trie, self._device.device)
        self.cold_trie = None
        if cold is not None:
            self.cold_trie = ColdTrie(cold.trie, cold.trained, self.trie.device)
        self.beams = beams
        self.longest_list = widths_by_depth(beams, trie.depth)[-1]

    @property
    def search(self) -> str:
        """How items are found, in words."""
        widths = [self.beams] if isinstance(self.beams, int) else self.beams
        return f"beams {', '.join(map(str, widths))}"

    def check_length(self, top_k: int) -> None:
        """Refuse lists that the search is too narrow for.

        Raises:
            ConfigurationError: `top_k` is more than the width of the search.
        """
        if top_k > self.longest_list:
            raise ConfigurationError(
                f"{top_k} recommendations cannot come from {self.longest_list} beams. "
                "Raise evaluation.beams or ask for fewer."
            )

    def encoded(
        self, histories: Histories, encoder: Callable[[], Callable[[Any], PrefixesT]]
    ) -> Iterator[tuple[np.ndarray, PrefixesT]]:
        """The users in batches of similar length; what is done with a batch runs in the device's
        precision too.

        Args:
            histories: of all users.
            encoder: of the model, which is in evaluation mode when it is called.

        Yields:
            Rows int64[n] of `histories`, and their encoded histories.
        """
        examples = self._model.eval().history_examples(histories)
        by_length = np.argsort(examples.lengths, kind="stable")
        with self._device.autocast():
            encode = encoder()
            for start in range(0, len(histories), self._users_per_batch):
                rows = by_length[start : start + self._users_per_batch]
                yield rows, encode(examples.batch(rows).to(self._device.device))


class SearchingRecommender(ABC, Generic[Pool]):
    """Recommends batch by batch, the warm and the cold items ranked apart.

    A subclass says what it ranks the items of a pool by, and what it has to know of a pool.
    """

    def __init__(self, searcher: Searcher, model: Generator, warm: Pool, cold: Pool | None) -> None:
        """Rank with a search.

        Args:
            searcher: of the tries of both pools.
            model: that it was made for.
            warm: the items that the model was trained on.
            cold: those that came later; None without any.
        """
        self._searcher = searcher
        self._model = model
        self._warm = warm
        self._cold = cold

    @property
    def search(self) -> str:
        """How items are found, in words."""
        return self._searcher.search

    @explain_out_of_memory(ADVICE_ON_MEMORY)
    @torch.inference_mode()
    def recommend(
        self,
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None = None,
    ) -> Recommendations:
        """See `recommendations.Recommender`; warm items only.

        Raises:
            ConfigurationError: `top_k` is more than the width of the search, or the memory does
                not suffice.
        """
        return self._lists([self._warm], histories, top_k, exclude_seen, progress)[0]

    @explain_out_of_memory(ADVICE_ON_MEMORY)
    @torch.inference_mode()
    def recommend_apart(
        self,
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None = None,
    ) -> WarmAndCold:
        """See `cold_share.ColdStartRecommender`.

        Raises:
            ConfigurationError: `top_k` is more than the width of the search, or the memory does
                not suffice.
        """
        pools = [self._warm] if self._cold is None else [self._warm, self._cold]
        lists = self._lists(pools, histories, top_k, exclude_seen, progress)
        return WarmAndCold(*lists, *[Recommendations.empty(len(histories), 0)] * (2 - len(lists)))

    def _lists(
        self,
        pools: Sequence[Pool],
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None,
    ) -> list[Recommendations]:
        self._searcher.check_length(top_k)
        lists = [Recommendations.empty(len(histories), top_k) for _ in pools]
        task = (progress or NoProgress()).task("Recommending", len(histories), "users")
        with task as reported:
            for rows, ranked in self._ranked(pools, histories, exclude_seen):
                for found, (items, scores) in zip(lists, ranked, strict=True):
                    found.put(rows, items, scores)
                reported.advance(len(rows))
        return lists

    @abstractmethod
    def _ranked(
        self, pools: Sequence[Pool], histories: Histories, exclude_seen: bool
    ) -> Iterator[tuple[np.ndarray, list[Ranked]]]:
        """Rows int64[n] of `histories`, batch by batch, and the ranking of each pool for them.

        A ranking is items int[n, m] and scores float32[n, m], best first, `NO_ITEM` at the end.
        Each history is encoded once.
        """


class GeneratorRecommender(SearchingRecommender[TrieTensors]):
    """Recommends the items whose semantic IDs a generator finds most probable."""

    def __init__(
        self,
        model: Generator,
        trie: SemanticIdTrie,
        beams: int | Sequence[int],
        users_per_batch: int,
        device: ComputeDevice | None = None,
        cold: ColdItemTries | None = None,
    ) -> None:
        """Search `trie` with `model`.

        Args:
            model: moved to `device` and used as it is at the time of each call.
            trie: of the semantic IDs that the model was built for.
            beams: width of the search, or widths by depth (see `beam_search`); the last one at
                least the number of items that will be asked for.
            users_per_batch: users searched for together; bounds memory.
            device: default: a GPU where there is one.
            cold: tries of the cold items that the model was told of (`Generator.on_catalog`).

        Raises:
            ArtifactMismatchError: the trie's codebooks are not those of the model.
            ConfigurationError: there are more widths than codes.
        """
        searcher = Searcher(model, trie, beams, users_per_batch, device, cold)
        super().__init__(searcher, model, searcher.trie, searcher.cold_trie)

    def _ranked(
        self, pools: Sequence[TrieTensors], histories: Histories, exclude_seen: bool
    ) -> Iterator[tuple[np.ndarray, list[Ranked]]]:
        for rows, prefixes in self._searcher.encoded(histories, self._model.history_encoder):
            users, ranked = histories.select(rows), []
            for trie in pools:
                seen = closed_states(users, trie) if exclude_seen else None
                best = beam_search(prefixes, trie, self._searcher.beams, seen)
                ranked.append((best.items.cpu().numpy(), best.logp.cpu().numpy()))
            yield rows, ranked
