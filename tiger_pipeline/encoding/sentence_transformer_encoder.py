"""Encoders from sentence-transformers."""

import numpy as np

from tiger_pipeline.compute_device import ComputeDevice
from tiger_pipeline.encoding.config import SentenceTransformerConfig
from tiger_pipeline.encoding.model_source import ModelSource
from tiger_pipeline.encoding.normalization import normalized


class SentenceTransformerEncoder:
    """A sentence-transformers model, called through its own `encode`, one batch of ours a call.

    Going through `encode` keeps everything a model may define: prompts, pooling, truncation,
    further layers, unpadded attention. An empty text is encoded as its special tokens.
    """

    def __init__(
        self, config: SentenceTransformerConfig, source: ModelSource, device: ComputeDevice
    ) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(
            source.location,
            revision=source.revision,
            device=str(device.device),
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
        if config.max_length is not None:
            self._model.max_seq_length = config.max_length
        self._normalize = config.normalize
        self._device = device
        self.dimension = self.encode_batch([""]).shape[1]

    def token_lengths(self, texts: list[str]) -> np.ndarray:
        """Tokens of each text after truncation, int32[n], without the model's prompt if any.

        Models without a transformer have no such tokenizer; they report characters.
        """
        tokenizer = self._model.tokenizer
        if not callable(tokenizer):
            return np.fromiter(map(len, texts), dtype=np.int32, count=len(texts))
        tokenized = tokenizer(
            texts,
            truncation=self._model.max_seq_length is not None,
            max_length=self._model.max_seq_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return np.fromiter(map(len, tokenized["input_ids"]), dtype=np.int32, count=len(texts))

    def encode_batch(self, texts: list[str]) -> np.ndarray:
        """Encode the texts as one padded batch: float32[n, d]."""
        with self._device.autocast():
            vectors = self._model.encode(texts, batch_size=len(texts), show_progress_bar=False)
        vectors = np.asarray(vectors, dtype=np.float32)
        return normalized(vectors) if self._normalize else vectors
