"""A training on the demo in processes of its own, of which one may kill itself in the middle.

python -m tiger_pipeline_tests.workflows.killed_training FOLDER [KILL_AFTER_SEQUENCES]

Of several processes the last one does, and only once: started again, it lives on.
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
from tiger_pipeline.generation.process_group import open_process_group
from tiger_pipeline.progress import NoProgress
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.workflows.training import train_or_reuse

USERS = 600
"""Of the demo; each is one sequence of an epoch."""

OVERRIDES = [
    "model.generator={kind: item_decoder, blocks: 1, width: 16, heads: 2, fusion_users: 20}",
    "training.max_epochs=4",
    "training.validate_every=1",
    "training.validation_users=50",
    "training.tokens_per_batch=1024",
    "training.ema_decay=0.9",
]


class DyingProgress(NoProgress):
    """Kills this process, as `kill -9` does, when so many sequences were trained on."""

    def __init__(self, sequences: int, folder: Path, dies: bool, speaks: bool) -> None:
        self._left = sequences
        self._died = folder / "died"
        self._dies = dies and not self._died.exists()
        self._speaks = speaks

    @contextmanager
    def task(self, name: str, total: int, unit: str = "steps") -> Iterator["DyingProgress"]:
        yield self

    def advance(self, amount: int = 1, **figures: float) -> None:
        self._left -= amount
        if self._left <= 0 and self._dies:
            self._died.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, message: str) -> None:
        if self._speaks:
            sys.stdout.write(f"{message}\n")
            sys.stdout.flush()


def main(folder: Path, kill_after: int = sys.maxsize) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    settings = Presets().dataset_settings("demo", OVERRIDES)
    interactions = build_catalog(settings.data, Path.cwd()).interactions
    users = interactions["user_id"].unique().slice(0, USERS)
    interactions = interactions.filter(pc.is_in(interactions["user_id"], users))
    ids = sorted(set(interactions["item_id"].to_pylist()))
    sequences = UserSequences.from_table(interactions, ids)
    rng = np.random.default_rng(0)
    semantic_ids = SemanticIds.from_codes(ids, rng.integers(16, size=(len(ids), 3)), (16,) * 3)
    text = list_array_of(rng.normal(size=(len(ids), 8)).astype(np.float32))
    folder.mkdir(exist_ok=True)
    with open_process_group() as group:
        train_or_reuse(
            settings,
            semantic_ids,
            pa.table({"item_id": ids, "embedding": text}),
            sequences,
            folder / "generator",
            folder / "work",
            retrain=False,
            progress=DyingProgress(
                kill_after, folder, dies=group.rank == group.size - 1, speaks=group.is_first
            ),
            group=group,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
