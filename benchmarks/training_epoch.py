"""One training epoch of `item_decoder` beside one of `t5`: the same data, width and run.

    python -m benchmarks.training_epoch [--share 0.25] [--t5-share 0.015] [--rounds 3] [--threads N]

The training interactions of Amazon Beauty (folder TIGER_REAL_DATA), made-up codes (3 × 256, some
shared) and random text embeddings (384 numbers), as neither changes what a step costs. Both
networks have their default settings, width 128, and batches of at most 4,096 padded positions; both
see every interaction as a target once an epoch. An epoch of `t5` takes long, so only a share of the
steps of each is run, over examples drawn at random, and its time is scaled to those of all steps.
The rounds alternate between the two, after a round that does not count; the best one counts.
Prints steps, seconds of a whole epoch, and their ratio.
"""

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.beam_search import made_up_catalog
from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.catalog.config import DataConfig
from tiger_pipeline.catalog.sequences import Histories, UserSequences
from tiger_pipeline.compute_device import ComputeDevice, choose_device
from tiger_pipeline.generation.batching import plan_batches
from tiger_pipeline.generation.config import (
    GeneratorConfig,
    ItemDecoderConfig,
    T5Config,
    TrainingConfig,
)
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.generator import Batch, Examples
from tiger_pipeline.generation.training import build_optimizer, train_epoch
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.semantic_ids.table import SemanticIds

TARGET = 10.0
TEXT_WIDTH = 384
TRAINING = TrainingConfig()


def beauty_training() -> tuple[Histories, list[str]]:
    """The training interactions, and the ids of all items."""
    default_data = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("TIGER_REAL_DATA", default_data))
    config = DataConfig.model_validate({"source": {"path": "amazon2014_beauty"}})
    catalog = build_catalog(config, data)
    ids = catalog.items["item_id"].to_pylist()
    return UserSequences.from_table(catalog.interactions, ids).training(), ids


@dataclass
class Share:
    """Some of the examples of a network."""

    examples: Examples
    rows: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Of the chosen examples."""
        return self.examples.lengths[self.rows]

    def batch(self, rows: np.ndarray) -> Batch:
        """Of the chosen examples."""
        return self.examples.batch(self.rows[rows])


class Epoch:
    """A network whose epochs are timed."""

    def __init__(
        self,
        config: GeneratorConfig,
        semantic_ids: SemanticIds,
        text: np.ndarray,
        histories: Histories,
        share: float,
        device: ComputeDevice,
    ) -> None:
        self.kind = config.kind
        self._device = device
        self._model = build_generator(config, semantic_ids, 0, text).to(device.device)
        self._optimizer = build_optimizer(self._model, TRAINING)
        examples = self._model.training_examples(histories)
        n = len(examples.lengths)
        rows = np.random.default_rng(0).permutation(n)[: max(1, round(share * n))]
        self._share = Share(examples, rows)
        self.steps = _steps(examples)
        self.steps_run = _steps(self._share)
        self.best = float("inf")

    def run(self) -> None:
        """Train on the share once, and keep the best time of a whole epoch."""
        model, optimizer = self._model, self._optimizer
        started = time.perf_counter()
        with NoProgress().task("", 0) as task:
            train_epoch(model, optimizer, self._share, TRAINING, 0, self._device, task)
        seconds = time.perf_counter() - started
        self.best = min(self.best, seconds * self.steps / self.steps_run)


def _steps(examples: Examples) -> int:
    rng = np.random.default_rng(0)
    return len(plan_batches(examples.lengths, TRAINING.tokens_per_batch, rng))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.25, help="of item_decoder's examples")
    parser.add_argument("--t5-share", type=float, default=0.015, help="of t5's examples")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = choose_device()
    print(f"{device}, {torch.get_num_threads()} threads")

    histories, ids = beauty_training()
    codes = made_up_catalog(len(ids))
    text = np.random.default_rng(0).normal(size=(len(ids), TEXT_WIDTH)).astype(np.float32)
    epochs = [
        Epoch(config, codes, text, histories, share, device)
        for config, share in (
            (ItemDecoderConfig(width=128), arguments.share),
            (T5Config(width=128), arguments.t5_share),
        )
    ]
    for round_number in range(arguments.rounds + 1):
        for epoch in epochs:
            epoch.run()
            if round_number == 0:
                epoch.best = float("inf")
    for epoch in epochs:
        print(
            f"{epoch.kind:12} {epoch.best:10,.1f} s an epoch of {epoch.steps:,} steps "
            f"({epoch.steps_run:,} of them run)"
        )
    ours, t5 = epochs
    ratio = t5.best / ours.best
    print(f"an epoch of {ours.kind} is {ratio:.1f} times as fast (wanted: {TARGET:.0f})")


if __name__ == "__main__":
    main()
