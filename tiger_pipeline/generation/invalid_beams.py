"""How often a generator that may write any codes writes those of no item."""

from collections.abc import Sequence

import torch

from tiger_pipeline.catalog.sequences import Histories
from tiger_pipeline.compute_device import ComputeDevice, explain_out_of_memory
from tiger_pipeline.generation.beam_search import beam_search
from tiger_pipeline.generation.generator import Generator
from tiger_pipeline.generation.recommender import ADVICE_ON_MEMORY, Searcher
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie


@explain_out_of_memory(ADVICE_ON_MEMORY)
@torch.inference_mode()
def invalid_beam_share(
    model: Generator,
    trie: SemanticIdTrie,
    histories: Histories,
    beams: int | Sequence[int],
    users_per_batch: int,
    device: ComputeDevice | None = None,
) -> float:
    """Share of the beams of an unconstrained search that are no item's semantic ID.

    Args:
        model: moved to `device`.
        trie: of the semantic IDs that the model was built for.
        histories: of n > 0 users.
        beams: width of the search, or its widths by level.
        users_per_batch: users searched for together; bounds memory.
        device: default: a GPU where there is one.

    Returns:
        0…1, the mean over users.

    Raises:
        ArtifactMismatchError: the trie's codebooks are not those of the model.
        ConfigurationError: the memory does not suffice.
    """
    searcher = Searcher(model, trie, beams, users_per_batch, device, cold=None)
    invalid = 0.0
    for rows, prefixes in searcher.encoded(histories, model.history_encoder):
        found = beam_search(prefixes, searcher.trie, beams, constrained=False)
        invalid += found.invalid_share * len(rows)
    return invalid / len(histories)
