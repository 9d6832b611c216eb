"""Semantic IDs as integer tokens, and item sequences as flat arrays of them.

A semantic-ID token is a code of one level: the same code means another thing on another level, so
every level has its own range of tokens. An item is as many tokens as its semantic ID needs: one a
level, and one more, the suffix, only where several items share their codes.
"""

from dataclasses import dataclass

import numpy as np

from tiger_pipeline.semantic_ids.table import SemanticIds

PAD = 0
"""Fills the end of the shorter rows of a batch; never attended to, never a target."""
BEGIN = 1
"""Opens every sequence, so that the first item has something to be predicted from."""
_FIRST_CODE = 2


@dataclass(frozen=True)
class TokenVocabulary:
    """Which integer stands for which code.

    Attributes:
        codebook_sizes: codes of each level, the suffix last if any item needs it.
    """

    codebook_sizes: tuple[int, ...]

    @property
    def level_offsets(self) -> tuple[int, ...]:
        """Token of code 0 of each level."""
        ends = np.cumsum(self.codebook_sizes)
        return tuple(
            int(end - n) + _FIRST_CODE for end, n in zip(ends, self.codebook_sizes, strict=True)
        )

    @property
    def size(self) -> int:
        """Number of tokens: padding, begin, and the codes of all levels."""
        return _FIRST_CODE + sum(self.codebook_sizes)


@dataclass(frozen=True)
class TokenSequences:
    """Sequences of tokens, flat.

    Attributes:
        offsets: int64[n + 1]; sequence i is `tokens[offsets[i]:offsets[i + 1]]`.
        tokens: int32[total]; each sequence opens with `BEGIN`.
        levels: int16[total], level of each token's code; −1 for `BEGIN`.
        item_positions: int32[total], which item of the sequence, from 0, a token belongs to; 0
            for `BEGIN`.
    """

    offsets: np.ndarray
    tokens: np.ndarray
    levels: np.ndarray
    item_positions: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """int64[n], tokens of each sequence, `BEGIN` included."""
        return np.diff(self.offsets)


class ItemTokenizer:
    """Turns items into tokens and item sequences into token sequences."""

    def __init__(self, semantic_ids: SemanticIds) -> None:
        needs_suffix = semantic_ids.needs_suffix
        codes = semantic_ids.codes
        sizes = semantic_ids.codebook_sizes
        if needs_suffix.any():
            codes = np.column_stack([codes, semantic_ids.suffixes])
            sizes = (*sizes, semantic_ids.suffix_size)
        self.vocabulary = TokenVocabulary(tuple(int(size) for size in sizes))
        self.tokens_of_item = (codes + np.array(self.vocabulary.level_offsets)).astype(np.int32)
        """int32[n_items, levels]; in the suffix column only where `item_lengths` reaches it."""
        self.item_lengths = semantic_ids.codes.shape[1] + needs_suffix.astype(np.int64)
        """int64[n_items], tokens of each item."""

    def tokenize(self, items: np.ndarray, offsets: np.ndarray) -> TokenSequences:
        """Write item sequences as tokens.

        Args:
            items: int32[total], item indices.
            offsets: int64[n + 1]; sequence i is `items[offsets[i]:offsets[i + 1]]`.
        """
        n_tokens = self.item_lengths[items]
        ends = np.concatenate([[0], np.cumsum(n_tokens)])
        level = np.arange(ends[-1]) - np.repeat(ends[:-1], n_tokens)
        owner = np.repeat(np.arange(len(items)), n_tokens)

        sequence_of_item = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        position = np.arange(len(items)) - offsets[sequence_of_item]
        token_offsets = ends[offsets] + np.arange(len(offsets))
        # Every sequence before a token, and its own, put one BEGIN in front of it.
        place = np.arange(ends[-1]) + sequence_of_item[owner] + 1

        tokens = np.full(token_offsets[-1], BEGIN, dtype=np.int32)
        levels = np.full(token_offsets[-1], -1, dtype=np.int16)
        item_positions = np.zeros(token_offsets[-1], dtype=np.int32)
        tokens[place] = self.tokens_of_item[items[owner], level]
        levels[place] = level
        item_positions[place] = position[owner]
        return TokenSequences(token_offsets, tokens, levels, item_positions)
