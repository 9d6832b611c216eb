"""A training on the demo in a process of its own, which may kill itself in the middle.

python -m tiger_pipeline_tests.workflows.killed_training FOLDER [KILL_AFTER_SEQUENCES]
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tiger_pipeline.catalog.build import build_catalog
from tiger_pipeline.catalog.sequences import UserSequences
from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.encoding.embedding_table import list_array_of
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.workflows.training import train_or_reuse

OVERRIDES = [
    "model.generator={kind: item_decoder, blocks: 1, width: 16, heads: 2, fusion_users: 20}",
    "training.max_epochs=4",
    "training.validate_every=1",
    "training.validation_users=50",
    "training.tokens_per_batch=4096",
    "training.ema_decay=0.9",
]


class DyingProgress(NoProgress):
    """Kills this process, as `kill -9` does, when so many sequences were trained on."""

    def __init__(self, sequences: int) -> None:
        self._left = sequences

    @contextmanager
    def task(self, name: str, total: int, unit: str = "steps") -> Iterator["DyingProgress"]:
        yield self

    def advance(self, amount: int = 1, **figures: float) -> None:
        self._left -= amount
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, message: str) -> None:
        sys.stdout.write(f"{message}\n")
        sys.stdout.flush()


def main(folder: Path, kill_after: int = sys.maxsize) -> None:
    import pyarrow as pa

    settings = Presets().dataset_settings("demo", OVERRIDES)
    interactions = build_catalog(settings.data, Path.cwd()).interactions
    ids = sorted(set(interactions["item_id"].to_pylist()))
    sequences = UserSequences.from_table(interactions, ids)
    rng = np.random.default_rng(0)
    semantic_ids = SemanticIds.from_codes(ids, rng.integers(16, size=(len(ids), 3)), (16,) * 3)
    text = list_array_of(rng.normal(size=(len(ids), 8)).astype(np.float32))
    train_or_reuse(
        settings,
        semantic_ids,
        pa.table({"item_id": ids, "embedding": text}),
        sequences,
        folder / "generator",
        folder / "work",
        retrain=False,
        progress=DyingProgress(kill_after),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
