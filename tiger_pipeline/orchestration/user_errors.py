"""Errors that a user can mend, shown as one message instead of a stack trace."""

import functools
from collections.abc import Callable
from typing import TypeVar

import dagster as dg

from tiger_pipeline.errors import TigerError

Compute = TypeVar("Compute", bound=Callable[..., object])


def clear_user_errors(compute: Compute) -> Compute:
    """Turn a `TigerError` of an asset's function into a `dagster.Failure` with its message.

    Such a failure is not retried: the same input would fail again.
    """

    @functools.wraps(compute)
    def wrapped(*args: object, **kwargs: object) -> object:
        try:
            return compute(*args, **kwargs)
        except TigerError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

    return wrapped  # type: ignore[return-value]
