"""Settings of the evaluation protocol."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tiger_pipeline.strict_config import StrictConfig


class EvaluationConfig(StrictConfig):
    """What is measured, and how candidates are found."""

    cutoffs: tuple[int, ...] = (1, 5, 10, 20)
    splits: tuple[Literal["valid", "test"], ...] = ("valid", "test")
    beams: int = Field(50, ge=1, description="Beam width of the constrained search.")
    users_per_batch: int = Field(256, ge=1)
    recommended_items: int = Field(20, ge=1, description="Length of a recommendation list.")

    @field_validator("cutoffs")
    @classmethod
    def _ascending(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        if not cutoffs or list(cutoffs) != sorted(set(cutoffs)) or cutoffs[0] < 1:
            raise ValueError("cutoffs must be positive and ascending, such as [1, 5, 10, 20]")
        return cutoffs

    @model_validator(mode="after")
    def _wide_enough(self) -> "EvaluationConfig":
        longest = max(self.cutoffs[-1], self.recommended_items)
        if self.beams < longest:
            raise ValueError(
                f"beams {self.beams} cannot give lists of {longest} items (the largest cutoff or "
                "recommended_items): raise beams or shorten the lists"
            )
        return self
