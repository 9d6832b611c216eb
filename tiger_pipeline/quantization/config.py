"""Settings of the quantizers."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tiger_pipeline.strict_config import StrictConfig

READ_INTERACTIONS = frozenset({"collaborative_kmeans"})
"""Kinds that are fitted on training interactions beside the text embeddings."""


class RandomConfig(StrictConfig):
    """Codes drawn uniformly by a hash of the embedding: the floor for every quantizer."""

    kind: Literal["random"] = "random"
    levels: int = Field(3, ge=1, le=16)
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a level.")
    seed: int = Field(0, ge=0)


class KMeansStartConfig(StrictConfig):
    """What k-means is fitted on, and where it starts."""

    items_per_codeword: int = Field(
        1024,
        ge=40,
        description="At most, that codebooks are fitted on; of a larger catalog a random sample.",
    )

    initialization: Literal["random", "points", "k-means++"] = "points"
    """`random`: Gaussian with the data's mean and covariance; `points`: distinct data points."""
    initial_codebooks: str | None = None
    """Safetensors file to start from instead: `codebook_0`, `codebook_1`, … of codewords ×
    dimension, as in the `model.safetensors` of fitted codebooks. `~` and `$VARIABLES` are expanded,
    a relative path starts at the variant's YAML file."""


class ResidualKMeansConfig(KMeansStartConfig):
    """Residual k-means with FAISS: each level clusters what the levels before left over."""

    kind: Literal["residual_kmeans"] = "residual_kmeans"
    levels: int = Field(3, ge=1, le=16)
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a level.")
    iterations: int = Field(100, ge=1, description="At most, a level.")
    tolerance: float = Field(
        1e-3, ge=0, lt=1, description="Stop below this relative gain; 0: when nothing changes."
    )
    normalize: Literal["none", "l2"] = Field("l2", description="Of the input vectors.")
    seed: int = Field(0, ge=0)


class CollaborativeKMeansConfig(KMeansStartConfig):
    """Residual k-means of each item's text beside what training interactions say of the item."""

    kind: Literal["collaborative_kmeans"] = "collaborative_kmeans"
    levels: int = Field(3, ge=1, le=16)
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a level.")
    iterations: int = Field(100, ge=1, description="At most, a level.")
    tolerance: float = Field(
        1e-3, ge=0, lt=1, description="Stop below this relative gain; 0: when nothing changes."
    )
    interactions_share: float = Field(
        0.5, gt=0, lt=1, description="Of a vector's squared length; the rest is the text's."
    )
    dimension: int = Field(
        96, ge=1, description="At most, of what interactions say; half the items is the limit."
    )
    window: int = Field(6, ge=1, description="Most steps between items that occur together.")
    distance_decay: float = Field(0.8, gt=0, le=1, description="Weight of a pair one step further.")
    shrinkage: float = Field(
        4.0,
        gt=0,
        description="Interactions at which what they say of an item weighs as much as what its "
        "text predicts.",
    )
    ridge: float = Field(30.0, gt=0, description="Of the prediction by text.")
    seed: int = Field(0, ge=0)


class BalancedResidualKMeansConfig(KMeansStartConfig):
    """Residual k-means with codewords of nearly equal use, by a learned price a codeword."""

    kind: Literal["balanced_residual_kmeans"] = "balanced_residual_kmeans"
    levels: int = Field(3, ge=1, le=16)
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a level.")
    iterations: int = Field(30, ge=1, description="A level.")
    balance: float = Field(
        1.05,
        ge=1,
        description="Most items of a codeword over the mean (never below the mean rounded up).",
    )
    normalize: Literal["none", "l2"] = Field("l2", description="Of the input vectors.")
    seed: int = Field(0, ge=0)


class ProductKMeansConfig(KMeansStartConfig):
    """Product k-means with FAISS: the vector is split into parts, each is clustered alone."""

    kind: Literal["product_kmeans"] = "product_kmeans"
    levels: int = Field(3, ge=1, le=16, description="Parts of the vector.")
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a part.")
    rotation: Literal["none", "opq"] = Field(
        "none", description="Before the split; `opq`: optimized product quantization."
    )
    iterations: int = Field(100, ge=1, description="At most, a part.")
    tolerance: float = Field(
        1e-3, ge=0, lt=1, description="Stop below this relative gain; 0: when nothing changes."
    )
    normalize: Literal["none", "l2"] = Field("l2", description="Of the input vectors.")
    seed: int = Field(0, ge=0)


class VaeConfig(StrictConfig):
    """What the two quantizing autoencoders have in common."""

    levels: int = Field(3, ge=1, le=16)
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a level.")
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (512, 256, 128),
        description="Widths of the encoder's hidden layers; the decoder mirrors it.",
    )
    codebook: Literal["learned", "ema", "simvq"] = Field(
        "learned",
        description="Trained by gradient, by moving averages, or frozen under a learned map.",
    )
    gradient: Literal["ste", "rotation", "gumbel"] = Field(
        "ste", description="How the decoder's gradient passes the choice of codewords."
    )
    kmeans_initialization: bool = Field(
        True, description="Start codebooks from k-means of the untrained encoder's output."
    )
    restart_unused: bool = Field(
        True,
        description="Move codewords nearest to nothing in an epoch onto items; not with `simvq`.",
    )
    sinkhorn_epsilon: float = Field(
        0.03,
        ge=0,
        description="Even use of the last level in training; smaller is nearer to the nearest, "
        "0 is the nearest.",
    )
    commitment_weight: float = Field(
        0.5, ge=0, description="Of the loss that keeps the encoder near its codewords."
    )
    ema_decay: float = Field(0.99, gt=0, lt=1, description="A step, with `ema`.")
    gumbel_temperature: float = Field(
        1.0,
        gt=0,
        description="With `gumbel`: of the softmax that gives the gradient. The noise fades "
        "linearly and is gone in the last epoch.",
    )
    epochs: int = Field(200, ge=1)
    batch_size: int = Field(1024, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0, description="Of the layers, not of the codebooks.")
    evaluate_every: int = Field(10, ge=1, description="Epochs between looks at all items' codes.")
    choose_by: Literal["perplexity", "reconstruction", "collisions"] = Field(
        "perplexity", description="What decides which evaluated epoch is kept."
    )
    normalize: Literal["none", "l2"] = Field("l2", description="Of input and reconstruction.")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _gumbel_needs_gradients(self) -> "VaeConfig":
        if self.gradient == "gumbel" and self.codebook == "ema":
            raise ValueError(
                "gradient `gumbel` trains the codebook by gradient, so it cannot go with codebook "
                "`ema`; use `learned` or `simvq`"
            )
        return self


class ResidualVaeConfig(VaeConfig):
    """RQ-VAE: an autoencoder whose code vector is quantized level by level."""

    kind: Literal["rq_vae"] = "rq_vae"
    code_dimension: int = Field(32, ge=1, description="Of the vector between the two networks.")
    shared_codebook: bool = Field(False, description="One codebook for all levels.")


class ProductVaeConfig(VaeConfig):
    """Product VAE: an autoencoder whose code vector is split into parts, each quantized alone."""

    kind: Literal["product_vae"] = "product_vae"
    code_dimension: int = Field(
        48, ge=1, description="Of the vector between the two networks; a multiple of `levels`."
    )

    @model_validator(mode="after")
    def _levels_divide_code_dimension(self) -> "ProductVaeConfig":
        if self.code_dimension % self.levels:
            raise ValueError(
                f"code_dimension {self.code_dimension} is not a multiple of levels {self.levels}"
            )
        return self


QuantizerConfig = Annotated[
    RandomConfig
    | ResidualKMeansConfig
    | CollaborativeKMeansConfig
    | BalancedResidualKMeansConfig
    | ProductKMeansConfig
    | ResidualVaeConfig
    | ProductVaeConfig,
    Field(discriminator="kind"),
]
