"""From settings to a network with fresh weights."""

import torch

from tiger_pipeline.generation.config import GeneratorConfig, T5Config
from tiger_pipeline.generation.decoder import Decoder
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.t5 import T5
from tiger_pipeline.semantic_ids.table import SemanticIds


def build_generator(config: GeneratorConfig, semantic_ids: SemanticIds, seed: int) -> Generator:
    """The generator of kind `config.kind`, its weights drawn with `seed`, on the processor."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, T5Config):
            return T5(config, semantic_ids)
        return Decoder(config, semantic_ids)
