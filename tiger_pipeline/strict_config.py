"""The base of every configuration section: immutable, and an unknown key is an error."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict


class StrictConfig(BaseModel):
    """A frozen section of the settings; unknown keys and values out of range are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )


def is_default(default: object) -> Callable[[object], bool]:
    """`exclude_if` of a field that was added when there were results already.

    Fingerprints and groups of repeats are made of dumps of the settings. The default does what was
    done before there was the field, and is left out of dumps, so that those results stay valid.
    """
    return lambda value: value == default
