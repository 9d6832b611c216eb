"""Waiting for what another process does."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
EVERY_SECONDS = 0.3


class CheckFailed(Exception):
    """The stack does not do what it should; the message says what."""


def wait_until(
    probe: Callable[[], Found],
    what: str,
    seconds: float,
    while_true: Callable[[], bool] = lambda: True,
) -> Found:
    """Ask `probe` until its answer is true, and return the answer.

    Raises:
        CheckFailed: not within `seconds`, or `while_true` no longer holds.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        if not while_true():
            raise CheckFailed(f"This can no longer happen: {what}.")
        time.sleep(EVERY_SECONDS)
    raise CheckFailed(f"This did not happen within {seconds:.0f} s: {what}.")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
