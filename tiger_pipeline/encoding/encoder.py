"""The protocol that every text encoder follows, and the one place that makes encoders."""

from typing import TYPE_CHECKING, Protocol

import numpy as np

from tiger_pipeline.encoding.config import CausalLanguageModelConfig, EncoderConfig
from tiger_pipeline.encoding.model_source import locate_model
from tiger_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from tiger_pipeline.compute_device import ComputeDevice


class TextEncoder(Protocol):
    """Turns texts into vectors; a text's vector does not depend on its neighbors in the batch."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector, d."""

    def token_lengths(self, texts: list[str]) -> np.ndarray:
        """Tokens of each text after truncation, int32[n]."""

    def encode_batch(self, texts: list[str]) -> np.ndarray:
        """Encode the texts as one padded batch: float32[n, d]."""


def load_encoder(config: EncoderConfig, device: "ComputeDevice | None" = None) -> TextEncoder:
    """Load an encoder's network.

    Args:
        config: which encoder.
        device: where it computes, and in which precision; `choose_device` by default.

    Raises:
        ConfigurationError: the model cannot be found, or its files cannot be loaded.
    """
    from tiger_pipeline.compute_device import choose_device

    device = device or choose_device()
    source = locate_model(config.name)
    try:
        if isinstance(config, CausalLanguageModelConfig):
            from tiger_pipeline.encoding.causal_lm_encoder import CausalLanguageModelEncoder

            return CausalLanguageModelEncoder(config, source, device)
        from tiger_pipeline.encoding.sentence_transformer_encoder import (
            SentenceTransformerEncoder,
        )

        return SentenceTransformerEncoder(config, source, device)
    except ConfigurationError:
        raise
    except Exception as error:
        # The loaders raise whatever their file formats raise: OSError, KeyError, SafetensorError…
        raise ConfigurationError(
            f"The {config.kind} encoder {config.name!r} could not be loaded from "
            f"{source.location}: {type(error).__name__}: {error}. Is it complete, and is it of "
            "this kind? See model.encoder."
        ) from error
