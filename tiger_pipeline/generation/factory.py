"""From settings to a network with fresh weights."""

import numpy as np
import torch

from tiger_pipeline.errors import InputError
from tiger_pipeline.generation.config import GeneratorConfig, ItemDecoderConfig, T5Config
from tiger_pipeline.generation.decoder import Decoder
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.item_decoder import ItemDecoder
from tiger_pipeline.generation.item_decoder_ensemble import ItemDecoderEnsemble
from tiger_pipeline.generation.t5 import T5
from tiger_pipeline.semantic_ids.table import SemanticIds


def build_generator(
    config: GeneratorConfig,
    semantic_ids: SemanticIds,
    seed: int,
    text_embeddings: np.ndarray | None = None,
) -> Generator:
    """The generator of kind `config.kind`, its weights drawn with `seed`, on the processor.

    Args:
        config: settings.
        semantic_ids: of the catalog.
        seed: of the weights.
        text_embeddings: float32[n_items, d], in the order of `semantic_ids`; needed where
            `config.reads_text`, else not used.

    Raises:
        InputError: the network reads text, and there is not one embedding an item.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, T5Config):
            return T5(config, semantic_ids)
        if isinstance(config, ItemDecoderConfig):
            network = ItemDecoder if config.members == 1 else ItemDecoderEnsemble
            return network(config, semantic_ids, _one_an_item(text_embeddings, semantic_ids))
        return Decoder(config, semantic_ids)


def _one_an_item(text_embeddings: np.ndarray | None, semantic_ids: SemanticIds) -> np.ndarray:
    n_items = len(semantic_ids.item_ids)
    n_given = 0 if text_embeddings is None else len(text_embeddings)
    if text_embeddings is None or n_given != n_items:
        raise InputError(
            f"A generator of kind item_decoder reads the text embedding of every item: it needs "
            f"{n_items:,} and was given {n_given:,}. Materialize the asset warm_item_embeddings "
            "again, then codebooks and semantic_ids."
        )
    return text_embeddings
