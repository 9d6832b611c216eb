"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "warning", "error"]
"""`note`: as it is, some runs are not possible, which nobody asked for; `warning`: slower or less
safe than need be; `error`: a run is not possible."""


@dataclass(frozen=True)
class Finding:
    """One fact, and what to do where it is not as it should be.

    Attributes:
        area: heading that it stands under.
        name: what it is about.
        value: what was found.
        level: how bad it is.
        advice: what to do; empty where nothing is to be done.
    """

    area: str
    name: str
    value: str
    level: Level = "ok"
    advice: str = ""
