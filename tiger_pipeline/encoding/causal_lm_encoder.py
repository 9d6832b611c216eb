"""Causal language models as encoders: the last layer's hidden state of a text's last token."""

import inspect

import numpy as np
import torch

from tiger_pipeline.compute_device import ComputeDevice, copy_to
from tiger_pipeline.encoding.config import CausalLanguageModelConfig
from tiger_pipeline.encoding.model_source import ModelSource
from tiger_pipeline.encoding.normalization import normalized
from tiger_pipeline.errors import ConfigurationError


class CausalLanguageModelEncoder:
    """A Llama-style model; in a causal model only the last token has seen the whole text.

    Texts are padded on the left, so that every text's last token is in the last column. The
    attention mask hides the padding and positions are counted from a text's first real token,
    so a text has the same vector alone and in a batch. A text that gives no token at all (an
    empty one under a tokenizer that adds none) is encoded as the end-of-sequence token.
    """

    def __init__(
        self, config: CausalLanguageModelConfig, source: ModelSource, device: ComputeDevice
    ) -> None:
        from transformers import AutoModel, AutoTokenizer

        from_source = {"revision": source.revision, "trust_remote_code": False}
        self._tokenizer = AutoTokenizer.from_pretrained(source.location, **from_source)
        model = AutoModel.from_pretrained(source.location, use_safetensors=True, **from_source)
        if model.config.is_encoder_decoder:
            raise ConfigurationError(
                f"The encoder {config.name!r} is an encoder-decoder, not a causal language model. "
                "Set model.encoder.kind to sentence_transformer."
            )
        self._model = model.to(
            device=device.device, dtype=device.autocast_dtype or torch.float32
        ).eval()
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self._config = config
        self._device = device.device
        self._pad_token = self._choose_pad_token()
        self.dimension = int(model.config.hidden_size)

    def _choose_pad_token(self) -> int:
        """The id that fills up batches; as it is masked, any will do where there is no own one."""
        for token in (self._tokenizer.pad_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        tokenized = self._tokenizer(
            texts,
            truncation=True,
            max_length=self._config.max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        end = self._tokenizer.eos_token_id
        only_end = [self._pad_token if end is None else int(end)]
        return [tokens or only_end for tokens in tokenized["input_ids"]]

    def token_lengths(self, texts: list[str]) -> np.ndarray:
        """Tokens of each text after truncation, int32[n]."""
        return np.fromiter(map(len, self._tokenize(texts)), dtype=np.int32, count=len(texts))

    def encode_batch(self, texts: list[str]) -> np.ndarray:
        """Encode the texts as one padded batch: float32[n, d]."""
        tokens, mask = _pad_left(self._tokenize(texts), self._pad_token)
        inputs = {
            "input_ids": copy_to(tokens, self._device),
            "attention_mask": copy_to(mask, self._device),
        }
        if self._takes_positions:
            inputs["position_ids"] = (inputs["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        with torch.inference_mode():
            hidden = self._model(**inputs, use_cache=False).last_hidden_state
        vectors = hidden[:, -1].float().cpu().numpy()
        return normalized(vectors) if self._config.normalize else vectors


def _pad_left(texts: list[list[int]], pad_token: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both int64[n, longest], with the texts flush right."""
    longest = max(map(len, texts))
    tokens = torch.full((len(texts), longest), pad_token)
    mask = torch.zeros_like(tokens)
    for row, text in enumerate(texts):
        tokens[row, longest - len(text) :] = torch.tensor(text)
        mask[row, longest - len(text) :] = 1
    return tokens, mask
