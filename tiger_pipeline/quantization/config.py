"""Settings of the quantizers."""

from typing import Annotated, Literal

from pydantic import Field

from tiger_pipeline.strict_config import StrictConfig


class RandomConfig(StrictConfig):
    """Codes drawn uniformly by a hash of the embedding: the floor for every quantizer."""

    kind: Literal["random"] = "random"
    levels: int = Field(3, ge=1, le=16)
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a level.")
    seed: int = Field(0, ge=0)


class ResidualKMeansConfig(StrictConfig):
    """Residual k-means with FAISS: each level clusters what the levels before left over."""

    kind: Literal["residual_kmeans"] = "residual_kmeans"
    levels: int = Field(3, ge=1, le=16)
    codewords: int = Field(256, ge=2, le=65536, description="Codewords a level.")
    initialization: Literal["random", "points", "k-means++"] = "points"
    """`random`: Gaussian with the data's mean and covariance; `points`: distinct data points."""
    iterations: int = Field(100, ge=1, description="At most, a level.")
    tolerance: float = Field(
        1e-3, ge=0, lt=1, description="Stop below this relative gain; 0: when nothing changes."
    )
    normalize: Literal["none", "l2"] = Field("l2", description="Of the input vectors.")
    seed: int = Field(0, ge=0)


QuantizerConfig = Annotated[RandomConfig | ResidualKMeansConfig, Field(discriminator="kind")]
