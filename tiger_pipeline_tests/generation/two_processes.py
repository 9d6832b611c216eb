"""Trainings whose loss curves are compared with those of one process.

torchrun --nproc-per-node 2 -m tiger_pipeline_tests.generation.two_processes FOLDER
"""

import json
import sys
from pathlib import Path

from tiger_pipeline.compute_device import cpu
from tiger_pipeline.generation.config import (
    DecoderConfig,
    GeneratorConfig,
    ItemDecoderConfig,
    TrainingConfig,
)
from tiger_pipeline.generation.process_group import ALONE, ProcessGroup, open_process_group
from tiger_pipeline.generation.training import TrainingResult, train_generator
from tiger_pipeline_tests.generation.catalogs import (
    random_histories,
    random_semantic_ids,
    random_text_embeddings,
)

DECODER = DecoderConfig(blocks=1, width=16, heads=2, dropout=0.0, history_items=5)
ITEM_DECODER = ItemDecoderConfig(
    **{"blocks": 1, "width": 16, "heads": 2, "history_items": 5},
    **{"dropout": 0.0, "item_dropout": 0.0, "following_dropout": 0.0},
)
TRAINING = TrainingConfig(
    max_epochs=2, tokens_per_batch=128, learning_rate=0.01, validate_every=2, ema_decay=0.9, seed=3
)
IN_PARTS = TRAINING.model_copy(update={"tokens_per_micro_batch": 32})
# A batch is often one sequence alone, which only one of two processes can have.
LONE_SEQUENCES = TRAINING.model_copy(update={"tokens_per_batch": 16})

CASES: dict[str, tuple[GeneratorConfig, TrainingConfig]] = {
    "decoder": (DECODER, TRAINING),
    "item_decoder": (ITEM_DECODER, TRAINING),
    "in parts": (DECODER, IN_PARTS),
    "lone sequences": (ITEM_DECODER, LONE_SEQUENCES),
}


def train(case: str, folder: Path, group: ProcessGroup = ALONE) -> TrainingResult:
    config, training = CASES[case]
    return train_generator(
        config,
        training,
        random_semantic_ids(2),
        random_histories(4, n_users=24, n_items=30),
        lambda model: {"ndcg@10": 0.5},
        folder / "work",
        cpu(),
        text_embeddings=random_text_embeddings(2) if config.reads_text else None,
        group=group,
    )


def main(folder: Path) -> None:
    with open_process_group() as group:
        for case in CASES:
            result = train(case, folder / case, group)
            weights = [float(p.detach().double().sum()) for p in result.model.parameters()]
            written = {"losses": [row["train_loss"] for row in result.history], "weights": weights}
            (folder / f"{case} {group.rank}.json").write_text(json.dumps(written))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
