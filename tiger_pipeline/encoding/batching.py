"""Batches of texts with little padding: longest first, within a budget of padded tokens."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tiger_pipeline.compute_device import ComputeDevice
    from tiger_pipeline.encoding.encoder import TextEncoder

_TEXTS_PER_TOKENIZER_CALL = 8192


def default_tokens_per_batch(device: "ComputeDevice") -> int:
    """Padded tokens of a batch where the settings name none.

    Measured with MiniLM: on one CPU thread 8,192 take 1.5 times the CPU time of 2,048, as a layer's
    activations leave the cache; on two threads of a busy machine 1,024 take 1.3 times as much, as
    the threads wait for each other more often. A GPU needs many tokens to be busy.
    """
    return 2048 if device.is_cpu else 16_384


def plan_batches(lengths: np.ndarray, tokens_per_batch: int) -> list[np.ndarray]:
    """Group texts of similar length.

    The longest come first, so that a batch that does not fit in memory fails at once and not
    after an hour. A text longer than the budget gets a batch of its own.

    Args:
        lengths: int[n], tokens of each text.
        tokens_per_batch: most tokens of a batch after padding to its longest text.

    Returns:
        Batches of indices int64[k] into `lengths`; together each index once.
    """
    longest_first = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(longest_first):
        padded_length = max(int(lengths[longest_first[start]]), 1)
        stop = start + max(tokens_per_batch // padded_length, 1)
        batches.append(longest_first[start:stop])
        start = stop
    return batches


def token_lengths(encoder: "TextEncoder", texts: list[str]) -> np.ndarray:
    """Tokens of each text, int32[n], asked from the encoder in blocks to bound memory."""
    blocks = [
        encoder.token_lengths(texts[start : start + _TEXTS_PER_TOKENIZER_CALL])
        for start in range(0, len(texts), _TEXTS_PER_TOKENIZER_CALL)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int32)


def encode_in_batches(
    encoder: "TextEncoder", texts: list[str], lengths: np.ndarray, tokens_per_batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Encode texts batch by batch, longest first.

    Args:
        encoder: the encoder.
        texts: n texts, each once: repeated ones would be encoded repeatedly.
        lengths: int[n], from `token_lengths`.
        tokens_per_batch: see `plan_batches`.

    Yields:
        Indices int64[k] into `texts` and their vectors float32[k, d].
    """
    for batch in plan_batches(lengths, tokens_per_batch):
        yield batch, encoder.encode_batch([texts[index] for index in batch])


def encode_texts(encoder: "TextEncoder", texts: list[str], tokens_per_batch: int) -> np.ndarray:
    """Encode texts in memory, equal ones once.

    Returns:
        float32[n, d] in the order of `texts`.
    """
    position_of = {text: position for position, text in enumerate(dict.fromkeys(texts))}
    distinct = list(position_of)
    vectors = np.empty((len(distinct), encoder.dimension), dtype=np.float32)
    lengths = token_lengths(encoder, distinct)
    for batch, encoded in encode_in_batches(encoder, distinct, lengths, tokens_per_batch):
        vectors[batch] = encoded
    return vectors[[position_of[text] for text in texts]]
