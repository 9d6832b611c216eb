"""Encoding of a part of the texts, so that processes and machines can divide a catalog.

A text's shard follows from its hash alone: whoever encodes a shard needs to know nothing of the
others, equal texts are in the same one, and a catalog that grows keeps its division.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiger_pipeline.encoding.config import EncoderConfig
from tiger_pipeline.encoding.embed import embed_item_texts
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

_HEX_DIGITS = 8


@dataclass(frozen=True)
class Shard:
    """The texts whose hash, as a number, is `index` modulo `of`.

    Raises:
        ConfigurationError: there is no such shard.
    """

    index: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise ConfigurationError(
                f"There is no shard {self.index} of {self.of}: --shard is 0 … {self.of - 1}."
                if self.of > 0
                else f"Texts cannot be divided into {self.of} shards: --of is 1 or more."
            )

    def divided(self, index: int, of: int) -> "Shard":
        """Part `index` of the `of` parts that this shard is divided into."""
        return Shard(self.index + self.of * index, self.of * of)

    def select(self, texts: "pa.Table") -> "pa.Table":
        """The rows of `texts` (item_id, text, text_hash) in this shard."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.of == 1:
            return texts
        digits = pc.utf8_slice_codeunits(texts["text_hash"], 0, _HEX_DIGITS).to_numpy().astype("S")
        return texts.filter(pa.array(_hex_values(digits) % self.of == self.index))


def _hex_values(digits: np.ndarray) -> np.ndarray:
    """The numbers int64[n] that S8[n] writes in lower-case hexadecimal digits."""
    characters = digits.view(np.uint8).reshape(len(digits), _HEX_DIGITS).astype(np.int64)
    values = np.where(characters >= ord("a"), characters - ord("a") + 10, characters - ord("0"))
    return values @ (16 ** np.arange(_HEX_DIGITS - 1, -1, -1))


def encode_shard(
    texts: "pa.Table", config: EncoderConfig, cache_dir: Path, shard: Shard, progress: Progress
) -> int:
    """Put the vectors of a shard's texts into the embedding cache.

    Args:
        texts: item_id, text, text_hash of all items.
        config: the encoder.
        cache_dir: the cache of all encoders, `ArtifactStore.embedding_cache`.
        shard: which texts.
        progress: where to report to.

    Returns:
        The number of texts that the encoder was given; the others were in the cache already.

    Raises:
        TigerError: as `encoding.embed.embed_item_texts`.
    """
    chosen = shard.select(texts)
    if not chosen.num_rows:
        return 0
    return embed_item_texts(chosen, config, cache_dir, progress=progress).encoded
