"""Pairs of a history and the item after it as padded batches, for encoder-decoder networks."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tiger_pipeline.compute_device import copy_to
from tiger_pipeline.generation.tokens import PAD, ItemTokenizer

NO_CODE = -100
"""Fills the target codes of an item without suffix; `cross_entropy` leaves it out."""


@dataclass
class PairBatch:
    """Histories padded at the end to a common length, and the items to predict from them.

    Attributes:
        tokens: int64[B, L]: the opening token, then the codes of the history's items, then `PAD`.
        lengths: int64[B], tokens of each history.
        target_tokens: int64[B, levels], tokens of the next item's codes, `PAD` where it has fewer;
            [B, 0] in a batch that is only to be encoded.
        target_codes: int64[B, levels], the same as codes of their levels, `NO_CODE` where it has
            fewer.
        n_targets: codes to predict.
    """

    tokens: Tensor
    lengths: Tensor
    target_tokens: Tensor
    target_codes: Tensor
    n_targets: int

    def to(self, device: torch.device) -> "PairBatch":
        """The same batch on `device`."""
        return PairBatch(
            copy_to(self.tokens, device),
            copy_to(self.lengths, device),
            copy_to(self.target_tokens, device),
            copy_to(self.target_codes, device),
            self.n_targets,
        )


class PairExamples:
    """Parts of item sequences, each with the item after it, as tokens in padded batches.

    Every sequence is kept as tokens once; an example is a range of them, so that all prefixes of
    all sequences cost no more memory than the sequences.
    """

    def __init__(
        self,
        tokenizer: ItemTokenizer,
        items: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        opening_tokens: np.ndarray,
        with_targets: bool,
    ) -> None:
        """Take the histories `items[starts[i]:stops[i]]`.

        Args:
            tokenizer: of the catalog.
            items: int32[total], item indices of all sequences.
            starts: int64[n].
            stops: int64[n]; with targets, `items[stops[i]]` is the i-th one.
            opening_tokens: int64[n], the token before each history.
            with_targets: whether to train on the examples, or only to encode them.
        """
        n_tokens = tokenizer.item_lengths[items]
        codes_of_items = tokenizer.tokens_of_item[items]
        self._tokens = codes_of_items[np.arange(codes_of_items.shape[1]) < n_tokens[:, None]]
        token_of_item = np.concatenate([[0], np.cumsum(n_tokens)])
        self._starts, self._stops = token_of_item[starts], token_of_item[stops]
        self._opening_tokens = opening_tokens
        self._tokenizer = tokenizer
        self._targets = items[stops] if with_targets else None
        self._n_tokens = 1 + self._stops - self._starts
        self.lengths = self._n_tokens.copy()
        if self._targets is not None:
            self.lengths += tokenizer.item_lengths[self._targets]

    def batch(self, rows: np.ndarray) -> PairBatch:
        """The examples at `rows` (int[m]), padded to the longest of them."""
        lengths = self._n_tokens[rows]
        columns = np.arange(1, lengths.max())
        inside = columns < lengths[:, None]
        source = np.where(inside, self._starts[rows][:, None] + columns - 1, 0)
        tokens = np.full((len(rows), lengths.max()), PAD, dtype=np.int64)
        tokens[:, 0] = self._opening_tokens[rows]
        tokens[:, 1:][inside] = self._tokens[source[inside]]
        target_tokens, target_codes = self._target_arrays(rows)
        return PairBatch(
            tokens=torch.from_numpy(tokens),
            lengths=torch.from_numpy(lengths),
            target_tokens=torch.from_numpy(target_tokens),
            target_codes=torch.from_numpy(target_codes),
            n_targets=int((target_codes != NO_CODE).sum()),
        )

    def _target_arrays(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._targets is None:
            nothing = np.zeros((len(rows), 0), dtype=np.int64)
            return nothing, nothing
        targets = self._targets[rows]
        lengths = self._tokenizer.item_lengths[targets]
        tokens = self._tokenizer.tokens_of_item[targets][:, : lengths.max()].astype(np.int64)
        has_code = np.arange(tokens.shape[1]) < lengths[:, None]
        codes = tokens - np.array(self._tokenizer.vocabulary.level_offsets)[: tokens.shape[1]]
        return np.where(has_code, tokens, PAD), np.where(has_code, codes, NO_CODE)
