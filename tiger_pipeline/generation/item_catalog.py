"""What a network over items reads about its catalog and does not train: codes and texts."""

import numpy as np
import torch
from torch import Tensor, nn

from tiger_pipeline.errors import InputError
from tiger_pipeline.generation.teacher_forcing import states_of_items
from tiger_pipeline.generation.tokens import ItemTokenizer
from tiger_pipeline.generation.trie_tensors import SparseTrie
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.semantic_ids.trie import SemanticIdTrie


class ItemCatalog(nn.Module):
    """A module without weights: its tensors follow the networks that share it to their device.

    None of them is part of a saved state.

    Attributes:
        vocabulary: of the tokens.
        text_embeddings: float32[n_items, d], as they were given.
        tokens_of_item: int64[n_items + n_cold_items, levels + 1], see `ItemTokenizer`.
        needs_suffix: bool[n_items].
        states_of_item: int64[n_items, depth + 1], see `teacher_forcing.states_of_items`.
        text: float32[n_items + n_cold_items, d], see `standardized`.
    """

    tokens_of_item: Tensor
    needs_suffix: Tensor
    states_of_item: Tensor
    text: Tensor

    def __init__(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray) -> None:
        """The items that a network is built for.

        Args:
            semantic_ids: of the catalog.
            text_embeddings: float32[n_items, d], in the order of `semantic_ids`.
        """
        super().__init__()
        tokenizer = ItemTokenizer(semantic_ids)
        self.vocabulary = tokenizer.vocabulary
        self.text_embeddings = text_embeddings
        self._semantic_id_trie = SemanticIdTrie.from_semantic_ids(semantic_ids)
        self._trie_tensors = SparseTrie(self._semantic_id_trie, torch.device("cpu"))
        frozen = {
            "tokens_of_item": tokenizer.tokens_of_item.astype(np.int64),
            "needs_suffix": semantic_ids.needs_suffix,
            "states_of_item": states_of_items(self._trie_tensors).numpy(),
            "text": standardized(text_embeddings, text_embeddings),
        }
        for name, array in frozen.items():
            self.register_buffer(name, torch.tensor(array), persistent=False)

    @property
    def trie(self) -> SparseTrie:
        """The semantic IDs that the network was built for, on its device."""
        device = self.tokens_of_item.device
        if self._trie_tensors.device != device:
            self._trie_tensors = SparseTrie(self._semantic_id_trie, device)
        return self._trie_tensors

    def grow(self, semantic_ids: SemanticIds, text_embeddings: np.ndarray | None) -> None:
        """See `Generator.on_catalog`."""
        if text_embeddings is None or len(text_embeddings) != semantic_ids.n_cold:
            raise InputError(
                "A generator of kind item_decoder reads the text embedding of every cold-start "
                f"item: it needs {semantic_ids.n_cold:,}. Materialize the asset item_embeddings "
                "again, then cold_semantic_ids."
            )
        device = self.text.device
        tokens = ItemTokenizer(semantic_ids).tokens_of_item.astype(np.int64)
        self.tokens_of_item = torch.from_numpy(tokens).to(device)
        cold = torch.from_numpy(standardized(text_embeddings, self.text_embeddings))
        n_warm = len(self.text_embeddings)
        self.text = torch.cat([self.text[:n_warm], cold.to(device)])


def standardized(embeddings: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """Embeddings float32[n, d], moved and scaled as brings `warm` to mean 0 and mean square 1.

    Language models put all texts near one another, far from the origin: without this, items would
    differ by little of their text's vector, and how much the text counts would depend on the model.
    """
    mean = warm.mean(axis=0)
    return (embeddings - mean) / max(float(np.sqrt(np.square(warm - mean).mean())), 1e-12)
