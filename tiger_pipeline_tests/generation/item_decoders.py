"""Small item decoders, and their scores from the definition, for the tests of this folder."""

import numpy as np
import torch
import torch.nn.functional as F

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.generation.config import ItemDecoderConfig
from tiger_pipeline.generation.factory import build_generator
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.item_decoder import ItemDecoder
from tiger_pipeline.generation.item_decoder_ensemble import ItemDecoderEnsemble
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline_tests.generation.catalogs import random_text_embeddings

CONFIG = ItemDecoderConfig(blocks=2, width=16, heads=2, history_items=5)


def item_decoder(
    semantic_ids: SemanticIds, seed: int = 1, config: ItemDecoderConfig = CONFIG
) -> ItemDecoder:
    """In evaluation mode, its weights spread so that its probabilities are far from uniform."""
    model = _spread(semantic_ids, seed, config)
    assert isinstance(model, ItemDecoder)
    return model


def ensemble(semantic_ids: SemanticIds, seed: int = 1) -> ItemDecoderEnsemble:
    """As `item_decoder`, of three members."""
    model = _spread(semantic_ids, seed, CONFIG.model_copy(update={"members": 3}))
    assert isinstance(model, ItemDecoderEnsemble)
    return model


def _spread(semantic_ids: SemanticIds, seed: int, config: ItemDecoderConfig) -> Generator:
    text = random_text_embeddings(0, len(semantic_ids.item_ids))
    model = build_generator(config, semantic_ids, seed, text).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(12)
    return model


def context_after(model: ItemDecoder, items: np.ndarray) -> torch.Tensor:
    """[width], by a pass over the most recent items alone."""
    recent = torch.from_numpy(items[-model.config.history_items :].astype(np.int64))
    return model.contexts(recent[None], model.item_vectors())[0, -1]


def mean_directions(
    model: ItemDecoder, semantic_ids: SemanticIds
) -> dict[tuple[int, ...], torch.Tensor]:
    """For every prefix of a semantic ID, the mean direction of the items that have it."""
    directions = F.normalize(model.item_vectors(), dim=-1)
    below: dict[tuple[int, ...], list[torch.Tensor]] = {}
    for item in range(model.n_items):
        codes = whole_semantic_id(semantic_ids, item)
        for length in range(1, len(codes) + 1):
            below.setdefault(codes[:length], []).append(directions[item])
    return {prefix: torch.stack(found).mean(0) for prefix, found in below.items()}


def codes_logp(
    model: ItemDecoder,
    semantic_ids: SemanticIds,
    context: torch.Tensor,
    item: int,
    means: dict[tuple[int, ...], torch.Tensor],
) -> float:
    """Log-probability of an item's semantic ID, one code after another, from the head's weights."""
    head, total = model.code_head, 0.0
    before = torch.zeros_like(context)
    codes = whole_semantic_id(semantic_ids, item)
    for level, code in enumerate(codes):
        inner = head.read_context[level](context)
        if level:
            inner = inner + head.read_codes[level - 1].weight @ before
        logits = head.score[level](F.gelu(inner))
        query = F.normalize(head.ask_below[level](context), dim=0) * head.log_scale[level].exp()
        for other in range(model.codebook_sizes[level]):
            if (prefix := (*codes[:level], other)) in means:
                logits[other] += head.leads_on[level] + query @ means[prefix]
        total += logits.log_softmax(0)[code].item()
        before = before + model.token_embedding.weight[code + model.level_offsets[level]]
    return total


def whole_semantic_id(semantic_ids: SemanticIds, item: int) -> tuple[int, ...]:
    """Codes of an item, and its suffix where it needs one."""
    suffix = [int(semantic_ids.suffixes[item])] if semantic_ids.needs_suffix[item] else []
    return (*semantic_ids.codes[item].tolist(), *suffix)


def dense_logp(model: ItemDecoder, context: torch.Tensor) -> torch.Tensor:
    """[n_items], from the definition: cosines over temperature, then a softmax."""
    vectors = model.item_vectors()
    query = model.dense_query(context)
    cosines = vectors @ query / (vectors.norm(dim=1) * query.norm())
    return (cosines / model.log_temperature.exp()).log_softmax(0)


def all_scores(
    model: ItemDecoder, semantic_ids: SemanticIds, histories: Histories
) -> tuple[np.ndarray, np.ndarray]:
    """float64[n, n_items] of codes and of the dense head, item by item."""
    n_items = len(semantic_ids.item_ids)
    means = mean_directions(model, semantic_ids)
    codes, dense = np.zeros((2, len(histories), n_items))
    for user in range(len(histories)):
        context = context_after(model, histories[user])
        dense[user] = dense_logp(model, context).numpy()
        codes[user] = [
            codes_logp(model, semantic_ids, context, item, means) for item in range(n_items)
        ]
    return codes, dense
