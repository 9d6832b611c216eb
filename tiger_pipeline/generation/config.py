"""Settings of the generators and of their training."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tiger_pipeline.strict_config import StrictConfig, is_default


class NetworkConfig(StrictConfig):
    """What the settings of every generator have."""

    reads_text: ClassVar[bool] = False
    """Whether the network is built on the items' text embeddings beside their codes."""

    kind: str


class CausalTransformerConfig(NetworkConfig):
    """The blocks of causal attention, as all generators made of them have them."""

    blocks: int = Field(2, ge=1, le=64)
    width: int = Field(128, ge=8)
    heads: int = Field(4, ge=1)
    mlp_ratio: float = Field(4.0, gt=0, description="Width of an MLP over that of the model.")
    dropout: float = Field(0.3, ge=0, lt=1)
    history_items: int = Field(20, ge=1, description="Most recent items that the model sees.")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "CausalTransformerConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class DecoderConfig(CausalTransformerConfig):
    """A decoder-only Transformer over semantic-ID tokens (SASRec style)."""

    kind: Literal["decoder"] = "decoder"


class ItemDecoderConfig(CausalTransformerConfig):
    """A Transformer over items with a head that generates codes and one that scores items."""

    reads_text: ClassVar[bool] = True

    kind: Literal["item_decoder"] = "item_decoder"
    dropout: float = Field(0.4, ge=0, lt=1)
    history_items: int = Field(50, ge=1, description="Most recent items that the model sees.")
    head_ratio: float = Field(
        2.0, gt=0, description="Width of the code head's MLPs over that of the model."
    )
    item_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of items that a training step knows by codes and text only, so that "
        "items without an embedding of their own can be recommended.",
    )
    smoothing_share: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Share of averages over the recent past in what a block adds; the rest is "
        "attention.",
    )
    following_dropout: float = Field(
        0.7,
        ge=0,
        lt=1,
        description="Dropout of the vectors that learn by heart what follows an item.",
    )
    dense_loss_weight: float = Field(
        1.0, ge=0, description="Of the items' cross-entropy, beside that of the codes."
    )
    members: int = Field(
        1,
        ge=1,
        le=16,
        exclude_if=is_default(1),
        description="Networks with first weights of their own that are trained side by side and "
        "answer together, by the mean of their log-probabilities. Time and memory grow with them.",
    )
    fusion_users: int = Field(
        10000,
        ge=1,
        description="Users on whose validation targets the fusion of the scores is fitted (a "
        "seeded sample).",
    )


class T5Config(NetworkConfig):
    """TIGER as published: a T5 encoder reads the history, a T5 decoder writes the next item."""

    kind: Literal["t5"] = "t5"
    layers: int = Field(4, ge=1, le=64, description="Of the encoder, and of the decoder.")
    width: int = Field(128, ge=8)
    heads: int = Field(6, ge=1)
    head_width: int = Field(64, ge=1, description="Of queries, keys and values of one head.")
    mlp_width: int = Field(1024, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    history_items: int = Field(20, ge=1, description="Most recent items that the model sees.")
    user_tokens: int = Field(
        2000, ge=0, description="Tokens that users are hashed to; 0: the model sees no user."
    )


GeneratorConfig = Annotated[
    DecoderConfig | ItemDecoderConfig | T5Config, Field(discriminator="kind")
]
"""Settings of any generator; `kind` tells which."""


class TrainingConfig(StrictConfig):
    """How a generator is trained. The epoch is chosen by validation NDCG@10."""

    max_epochs: int = Field(60, ge=1)
    tokens_per_batch: int = Field(4096, ge=16, description="Padded tokens in one batch.")
    tokens_per_micro_batch: int | None = Field(
        None,
        ge=16,
        exclude_if=is_default(None),
        description="Padded tokens that a process computes at once where its share of a batch "
        "does not fit into memory: the parts' gradients are added up before the step. null: the "
        "whole share.",
    )
    learning_rate: float = Field(2e-3, gt=0, description="Peak, after the warm-up.")
    final_learning_rate_share: float = Field(0.05, ge=0, le=1, description="End of the cosine.")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="Part of all steps.")
    weight_decay: float = Field(0.05, ge=0)
    gradient_clip: float = Field(1.0, gt=0, description="Largest global gradient norm.")
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Validate and keep an exponential moving average of the weights, with this "
        "decay a step (such as 0.999); null keeps the weights themselves.",
    )
    validate_every: int = Field(3, ge=1, description="Epochs between validations.")
    validation_users: int = Field(
        4000, ge=1, description="Users in a validation during training (a seeded sample)."
    )
    patience: int = Field(4, ge=1, description="Validations without a better NDCG@10 to stop.")
    compile: bool = Field(
        False,
        exclude_if=is_default(False),
        description="Compile the Transformer's layers (`torch.compile`). Takes a minute or more at "
        "first and needs a C++ compiler: for long trainings on a GPU. Dropout then draws other "
        "numbers, so the weights are as different from those without it as those of another seed.",
    )
    seed: int = Field(0, ge=0)
