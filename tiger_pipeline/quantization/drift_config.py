"""Settings of the check whether codebooks still fit the items that come."""

from pydantic import Field

from tiger_pipeline.strict_config import StrictConfig


class CodebookDriftConfig(StrictConfig):
    """When the check `codebooks_fit_new_items` warns that codebooks should be fitted again.

    It compares all cold items in use with the items that the codebooks were fitted on. It never
    stops a run.
    """

    min_items: int = Field(30, ge=1, description="With fewer cold items nothing is concluded.")
    max_large_errors: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of cold items whose reconstruction error is above the 95th percentile "
        "of the fitted items' (0.05 where nothing changed).",
    )
    max_extra_collisions: float = Field(
        0.2,
        ge=0,
        le=1,
        description="By how much the share of cold items whose codes another item had before may "
        "exceed the share of fitted items that share their codes.",
    )
    max_code_shift: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Jensen–Shannon divergence, in bits, between the use of codewords by cold and "
        "by fitted items, of the level where it is largest, beyond what chance gives.",
    )
