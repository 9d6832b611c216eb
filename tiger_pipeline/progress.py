"""Progress of long work, reported the same way to a log, a terminal or nobody.

The science calls a `Progress`; who listens is the caller's choice: Dagster logs a line every few
seconds, a terminal shows a bar with an estimate, a test or a notebook passes `NoProgress`.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

PROGRESS_BAR_VARIABLE = "TIGER_PROGRESS_BAR"
"""Set in the environment of a process whose terminal a person is watching."""


class ProgressTask(Protocol):
    """One piece of work of known size, under way."""

    def advance(self, amount: int = 1, **figures: float) -> None:
        """Report `amount` more units as done; `figures` (a loss, say) are shown beside them."""


class Progress(Protocol):
    """Where progress is reported to."""

    def task(
        self, name: str, total: int, unit: str = "steps"
    ) -> AbstractContextManager[ProgressTask]:
        """Open a task of `total` units."""

    def note(self, message: str) -> None:
        """Report one sentence, such as an epoch's result. Not for every batch: it may be slow."""


class _SilentTask:
    def advance(self, amount: int = 1, **figures: float) -> None:
        pass


class NoProgress:
    """Reports to nobody."""

    @contextmanager
    def task(self, name: str, total: int, unit: str = "steps") -> Iterator[ProgressTask]:
        """Open a task that reports nothing."""
        yield _SilentTask()

    def note(self, message: str) -> None:
        """Drop the message."""


class _LoggedTask:
    def __init__(
        self, log: logging.Logger, name: str, total: int, unit: str, every_seconds: float
    ) -> None:
        self._log, self._name, self._total, self._unit = log, name, total, unit
        self._every_seconds = every_seconds
        self._done = 0
        self._started = self._last_line = time.monotonic()

    def advance(self, amount: int = 1, **figures: float) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last_line < self._every_seconds:
            return
        self._last_line = now
        rate = self._done / (now - self._started)
        left = (self._total - self._done) / rate if rate else float("inf")
        shown = "".join(f", {name} {value:.4g}" for name, value in figures.items())
        self._log.info(
            f"{self._name}: {self._done:,} of {self._total:,} {self._unit}, "
            f"{rate:,.1f} a second, about {left:,.0f} s left{shown}"
        )


class LoggedProgress:
    """Writes a line to a logger every few seconds, with the rate and the estimated time left.

    A Dagster log call costs milliseconds, so lines are limited by time, not by units.
    """

    def __init__(self, log: logging.Logger, every_seconds: float = 10.0) -> None:
        self._log = log
        self._every_seconds = every_seconds

    @contextmanager
    def task(self, name: str, total: int, unit: str = "steps") -> Iterator[ProgressTask]:
        """Open a task whose progress is logged."""
        yield _LoggedTask(self._log, name, total, unit, self._every_seconds)

    def note(self, message: str) -> None:
        """Log the message."""
        self._log.info(message)


class _BarTask:
    def __init__(self, bar) -> None:  # type: ignore[no-untyped-def]
        self._bar = bar

    def advance(self, amount: int = 1, **figures: float) -> None:
        if figures:
            self._bar.set_postfix(
                {name: f"{value:.4g}" for name, value in figures.items()}, refresh=False
            )
        self._bar.update(amount)


class TerminalProgress:
    """Draws a tqdm bar with an estimate on `stream` (default: standard error)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    @contextmanager
    def task(self, name: str, total: int, unit: str = "steps") -> Iterator[ProgressTask]:
        """Open a task that is drawn as a bar."""
        from tqdm import tqdm

        with tqdm(
            total=total, desc=name, unit=f" {unit}", file=self._stream, dynamic_ncols=True
        ) as bar:
            yield _BarTask(bar)

    def note(self, message: str) -> None:
        """Print the message above the bars."""
        from tqdm import tqdm

        tqdm.write(message, file=self._stream)


def watched_or_logged(log: logging.Logger) -> Progress:
    """Bars when a person watches the terminal (`PROGRESS_BAR_VARIABLE`), else lines in `log`.

    Dagster captures a step's own output, so bars are drawn on the controlling terminal itself.
    """
    if os.environ.get(PROGRESS_BAR_VARIABLE):
        try:
            return TerminalProgress(open("/dev/tty", "w", encoding="utf-8"))
        except OSError:
            pass  # no controlling terminal (a container, a scheduler): the log it is
    return LoggedProgress(log)
