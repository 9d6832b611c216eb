"""Recommendations by a trained generator: encode, search, restore the order of the users."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, choose_device
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
        self, histories: Histories, encode: Callable[[Any], PrefixesT]
    ) -> Iterator[tuple[np.ndarray, PrefixesT]]:
        """The users in batches of similar length; what is done with a batch runs in the device's
        precision too.

        Args:
            histories: of all users.
            encode: of the model, which is in evaluation mode when it is called.

        Yields:
            Rows int64[n] of `histories`, and their encoded histories.
        """
        examples = self._model.eval().history_examples(histories)
        by_length = np.argsort(examples.lengths, kind="stable")
        with self._device.autocast():
            for start in range(0, len(histories), self._users_per_batch):
                rows = by_length[start : start + self._users_per_batch]
                yield rows, encode(examples.batch(rows).to(self._device.device))


class GeneratorRecommender:
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
        self._searcher = Searcher(model, trie, beams, users_per_batch, device, cold)
        self._model = model

    @property
    def search(self) -> str:
        """How items are found, in words."""
        return self._searcher.search

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
            ConfigurationError: `top_k` is more than the width of the search.
        """
        tries = [self._searcher.trie]
        return self._search(tries, histories, top_k, exclude_seen, progress)[0]

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
            ConfigurationError: `top_k` is more than the width of the search.
        """
        warm_trie, cold_trie = self._searcher.trie, self._searcher.cold_trie
        tries = [warm_trie] if cold_trie is None else [warm_trie, cold_trie]
        lists = self._search(tries, histories, top_k, exclude_seen, progress)
        return WarmAndCold(*lists, *[Recommendations.empty(len(histories), 0)] * (2 - len(lists)))

    def _search(
        self,
        tries: Sequence[TrieTensors],
        histories: Histories,
        top_k: int,
        exclude_seen: bool,
        progress: Progress | None,
    ) -> list[Recommendations]:
        """The best of each trie; histories are encoded once."""
        self._searcher.check_length(top_k)
        lists = [Recommendations.empty(len(histories), top_k) for _ in tries]
        task = (progress or NoProgress()).task("Recommending", len(histories), "users")
        with task as reported:
            for rows, prefixes in self._searcher.encoded(histories, self._model.encode):
                users = histories.select(rows)
                for trie, found in zip(tries, lists, strict=True):
                    seen = closed_states(users, trie) if exclude_seen else None
                    best = beam_search(prefixes, trie, self._searcher.beams, seen)
                    found.put(rows, best.items.cpu().numpy(), best.logp.cpu().numpy())
                reported.advance(len(rows))
        return lists
