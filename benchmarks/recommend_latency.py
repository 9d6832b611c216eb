"""Asking one generator in two ways: our constrained beam search, and scoring every item.

Scoring every item's semantic ID by teacher forcing is what one writes first; it is exact, and its
time grows with the catalog. Both answer the same requests in turn, on the same weights.

    python -m benchmarks.recommend_latency                          # an untrained generator
    python -m benchmarks.recommend_latency --dataset beauty --variant kmeans_points_100

With a dataset and a variant, the finished generator of the artifact store is asked, and its loading
is timed in a fresh process.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import choose_device
from tiger_pipeline.configuration.locations import open_store
from tiger_pipeline.generation.catalog_tries import catalog_tries
from tiger_pipeline.generation.checkpoint import load_generator
from tiger_pipeline.generation.config import DecoderConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.generation.teacher_forcing import semantic_id_logp, states_of_items
from tiger_pipeline.generation.trie_tensors import trie_tensors
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
from tiger_pipeline.storage.tables import read_table

HISTORY_ITEMS, TOP_K = 10, 10
_LOADING = """
import time
started = time.perf_counter()
from tiger_pipeline.workflows.serving import load_recommender
load_recommender({dataset!r}, {variant!r})
print(time.perf_counter() - started)
"""


class ScoreEveryItem:
    """Encodes the history, teacher-forces the semantic ID of every item, keeps the best."""

    def __init__(self, model: Generator, semantic_ids: SemanticIds) -> None:
        self._model = model
        trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
        self._trie = trie_tensors(trie, choose_device().device)
        self._ways = states_of_items(self._trie)

    @torch.inference_mode()
    def recommend(self, histories: Histories) -> np.ndarray:
        """int64[n, TOP_K], seen items left out."""
        batch = self._model.history_examples(histories).batch(np.arange(len(histories)))
        prefixes = self._model.encode(batch.to(self._trie.device))
        ways = self._ways.expand(len(histories), -1, -1)
        logp = semantic_id_logp(prefixes, self._trie, ways)
        users = np.repeat(np.arange(len(histories)), histories.lengths)
        logp[torch.from_numpy(users), torch.from_numpy(histories.items).long()] = -torch.inf
        return logp.topk(TOP_K, dim=1).indices.cpu().numpy()


def untrained(n_items: int) -> tuple[Generator, SemanticIds]:
    """A small decoder over random codes of 3 × 256."""
    codes = np.random.default_rng(0).integers(256, size=(n_items, 3)).astype(np.int32)
    ids = SemanticIds.from_codes([f"i{k}" for k in range(n_items)], codes, (256, 256, 256))
    return build_generator(DecoderConfig(), ids, seed=0).eval(), ids


def finished(dataset: str, variant: str) -> tuple[Generator, SemanticIds]:
    """The generator of the store, on its warm items."""
    store = open_store()
    table = store.fetch(store.table("semantic_ids", dataset, variant))
    ids = SemanticIds.from_table(read_table(table))
    return load_generator(store.fetch(store.directory("generator", dataset, variant)), ids), ids


def random_histories(n: int, n_items: int, seed: int) -> Histories:
    """Of `HISTORY_ITEMS` items each."""
    items = np.random.default_rng(seed).integers(n_items, size=(n, HISTORY_ITEMS))
    offsets = np.arange(n + 1, dtype=np.int64) * HISTORY_ITEMS
    return Histories(np.arange(n, dtype=np.int32), offsets, items.ravel().astype(np.int32))


def seconds(ask: Callable[[Histories], object], histories: Histories) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    ask(histories)
    return time.perf_counter() - started


def main() -> None:
    """Print latency, throughput, and loading time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset")
    parser.add_argument("--variant")
    parser.add_argument("--items", type=int, default=12_000, help="of the untrained generator")
    parser.add_argument("--beams", type=int, default=20)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    is_finished = bool(options.dataset and options.variant)
    model, ids = (
        finished(options.dataset, options.variant) if is_finished else untrained(options.items)
    )
    trie, _ = catalog_tries(ids)
    ours = GeneratorRecommender(model, trie, options.beams, options.batch)
    every = ScoreEveryItem(model, ids)
    print(f"{len(ids.item_ids):,} items, {options.beams} beams, device {choose_device().device}")

    def search(histories: Histories) -> np.ndarray:
        return ours.recommend(histories, TOP_K, exclude_seen=True).items

    single = [random_histories(1, len(ids.item_ids), seed) for seed in range(options.requests)]
    search(single[0]), every.recommend(single[0])
    times = np.array([[seconds(search, one), seconds(every.recommend, one)] for one in single])
    same = np.mean([search(one)[0, 0] == every.recommend(one)[0, 0] for one in single])
    for name, column in (("median", np.median(times, 0)), ("p95", np.quantile(times, 0.95, 0))):
        print(
            f"one request, {name}: search {1e3 * column[0]:.1f} ms, every item "
            f"{1e3 * column[1]:.1f} ms, ratio {column[1] / column[0]:.1f}"
        )
    batches = [random_histories(options.batch, len(ids.item_ids), seed) for seed in range(5)]
    search(batches[0]), every.recommend(batches[0])
    times = np.array([[seconds(search, b), seconds(every.recommend, b)] for b in batches])
    rates = options.batch / np.median(times, 0)
    print(
        f"batches of {options.batch}: search {rates[0]:.0f} users a second, every item "
        f"{rates[1]:.0f}, ratio {rates[0] / rates[1]:.1f}"
    )
    print(f"the same first item in {same:.0%} of the requests")
    if is_finished:
        program = _LOADING.format(dataset=options.dataset, variant=options.variant)
        loads = [
            float(
                subprocess.run(
                    [sys.executable, "-c", program], capture_output=True, check=True, text=True
                ).stdout
            )
            for _ in range(3)
        ]
        print(
            f"loading in a fresh process, imports included: {np.median(loads):.2f} s (median of 3)"
        )


if __name__ == "__main__":
    main()
