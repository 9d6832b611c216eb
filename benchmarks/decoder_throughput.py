"""What training and recommending with `decoder` cost a CPU second, by the number of items.

    python -m benchmarks.decoder_throughput [--items 10000 1000000]

`decoder` has no weights of single items, so its costs should not grow with the catalog. Made-up
codes (3 × 256, some shared), histories of 20 items, fresh weights, default settings, one thread,
20 beams in batches of 256 users. CPU seconds, since they are the same on a busy machine.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.beam_search import HISTORY_ITEMS, made_up_catalog, made_up_histories
from tiger_pipeline.compute_device import ComputeDevice, cpu
from tiger_pipeline.generation.config import DecoderConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.recommender import GeneratorRecommender
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie

USERS, BEAMS, STEPS = 256, 20, 4


def measure(n_items: int, device: ComputeDevice) -> str:
    """A row of the table."""
    semantic_ids = made_up_catalog(n_items)
    histories = made_up_histories(semantic_ids, USERS)
    model = build_generator(DecoderConfig(), semantic_ids, 0, None)
    examples = model.training_examples(histories)
    batch = examples.batch(np.arange(64)).to(device.device)

    def train() -> None:
        model.loss(batch).backward()

    recommender = GeneratorRecommender(
        model, SemanticIdTrie.from_semantic_ids(semantic_ids), BEAMS, USERS, device
    )

    def recommend() -> None:
        recommender.recommend(histories, BEAMS, exclude_seen=True)

    train()
    recommend()
    trained = 64 * HISTORY_ITEMS / _cpu_seconds(train)
    served = USERS / _cpu_seconds(recommend)
    return f"| {n_items:,} | {trained:,.0f} | {served:,.0f} |"


def _cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(STEPS):
        work()
    return (time.process_time() - started) / STEPS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="*", default=[10_000, 1_000_000])
    torch.set_num_threads(1)
    print("| items | interactions trained on a CPU second | users recommended to a CPU second |")
    print("|---:|---:|---:|")
    for n_items in parser.parse_args().items:
        print(measure(n_items, cpu()), flush=True)


if __name__ == "__main__":
    main()
