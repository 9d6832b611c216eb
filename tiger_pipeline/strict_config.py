"""The base of every configuration section: immutable, and an unknown key is an error."""

from pydantic import BaseModel, ConfigDict


class StrictConfig(BaseModel):
    """A frozen section of the settings; unknown keys and values out of range are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )
