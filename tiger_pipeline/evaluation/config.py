"""Settings of the evaluation protocol."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tiger_pipeline.generation.config import TrainingConfig
from tiger_pipeline.quantization.drift_config import CodebookDriftConfig
from tiger_pipeline.strict_config import StrictConfig


class SasrecTrainingConfig(TrainingConfig):
    """How SASRec is trained. The epoch is chosen by validation NDCG@10."""

    tokens_per_batch: int = Field(
        2048, ge=16, description="Padded items in one batch; each has a logit for every item."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Peak, after the warm-up.")


class SasrecConfig(StrictConfig):
    """The baseline SASRec with full-softmax cross-entropy (asset `sasrec_baseline`)."""

    blocks: int = Field(2, ge=1, le=64)
    width: int = Field(64, ge=8)
    heads: int = Field(2, ge=1)
    mlp_ratio: float = Field(4.0, gt=0, description="Width of the MLP over that of the model.")
    dropout: float = Field(0.5, ge=0, lt=1)
    history_items: int = Field(50, ge=1, description="Most recent items that the model sees.")
    training: SasrecTrainingConfig = SasrecTrainingConfig()

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "SasrecConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


_Width = Annotated[int, Field(ge=1)]


class ColdStartConfig(StrictConfig):
    """The cold-start protocol (asset `cold_start_metrics`)."""

    held_out_share: float = Field(
        0.05, gt=0, lt=1, description="Of the test targets' items, held out of training entirely."
    )
    seed: int = Field(0, ge=0, description="Of the draw of these items.")
    cutoffs: tuple[int, ...] = Field((5, 10, 20), min_length=1)
    epsilons: tuple[float, ...] = Field(
        (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        min_length=1,
        description="Largest shares of cold-start items that are measured.",
    )

    @model_validator(mode="after")
    def _in_range(self) -> "ColdStartConfig":
        if min(self.cutoffs) < 1:
            raise ValueError("cutoffs must be positive")
        if min(self.epsilons) < 0 or max(self.epsilons) > 1:
            raise ValueError("epsilons must be within 0 and 1")
        return self


class EvaluationConfig(StrictConfig):
    """What is measured, and how candidates are found."""

    cutoffs: tuple[int, ...] = (1, 5, 10, 20)
    splits: tuple[Literal["valid", "test"], ...] = ("valid", "test")
    search: Literal["beams", "exhaustive"] = Field(
        "beams",
        description="How a generator's items are found. `exhaustive` scores every item exactly: "
        "what beams are measured against, and slower by orders of magnitude. Training is always "
        "validated by beams.",
    )
    beams: _Width | Annotated[tuple[_Width, ...], Field(min_length=1)] = Field(
        50,
        description="Beam width of the constrained search; or a list: the width after the first "
        "code, the second, and so on. The last one holds for the codes that are left.",
    )
    sampled_negatives: _Width | None = Field(
        None,
        description="Rank each target among so many items that its user never interacted with, "
        "drawn uniformly, instead of among all items. Not comparable with full ranking (Krichene "
        "& Rendle 2020).",
    )
    sampling_seed: int = Field(0, ge=0, description="Of these draws.")
    users_per_batch: int = Field(256, ge=1)
    recommended_items: int = Field(20, ge=1, description="Length of a recommendation list.")
    epsilon: float = Field(
        0.1,
        ge=0,
        le=1,
        description="ε: largest share of cold-start items in a recommendation list.",
    )
    cold_start: ColdStartConfig = ColdStartConfig()
    sasrec: SasrecConfig = SasrecConfig()
    codebook_drift: CodebookDriftConfig = CodebookDriftConfig()

    @property
    def ranking(self) -> str:
        """What targets are ranked among, as every measured value carries it."""
        if self.sampled_negatives is None:
            return "full"
        return f"sampled ({self.sampled_negatives} negatives, seed {self.sampling_seed})"

    @field_validator("cutoffs")
    @classmethod
    def _ascending(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        if not cutoffs or list(cutoffs) != sorted(set(cutoffs)) or cutoffs[0] < 1:
            raise ValueError("cutoffs must be positive and ascending, such as [1, 5, 10, 20]")
        return cutoffs

    @model_validator(mode="after")
    def _wide_enough(self) -> "EvaluationConfig":
        longest = max(self.cutoffs[-1], self.recommended_items)
        width = self.beams if isinstance(self.beams, int) else self.beams[-1]
        if width < longest:
            raise ValueError(
                f"beams {width} cannot give lists of {longest} items (the largest cutoff or "
                "recommended_items): raise beams or shorten the lists"
            )
        return self
