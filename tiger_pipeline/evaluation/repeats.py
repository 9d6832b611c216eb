"""Runs that differ in nothing but their seeds: grouping them, and the mean of what they measured.

One training says little: two seeds of the same model can lie further apart than two models. So
repeats of a run are one row of a leaderboard, with the spread between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiger_pipeline.storage.fingerprint import fingerprint_json


@dataclass(frozen=True)
class MeanOfRepeats:
    """Mean of a value over runs, and its spread.

    Attributes:
        mean: None where no run has the value.
        deviation: sample standard deviation (divided by n − 1); None for fewer than two values.
    """

    mean: float | None
    deviation: float | None


def group_repeats(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Group runs by their settings.

    Args:
        settings: by run, its settings without seeds.

    Returns:
        The runs of each group, the shortest name first; it names the group. In the order of
        `settings`.

    >>> group_repeats({"a_seed_1": {"x": 1}, "b": {"x": 2}, "a": {"x": 1}})
    {'a': ['a', 'a_seed_1'], 'b': ['b']}
    """
    groups: dict[str, list[str]] = {}
    for run, values in settings.items():
        groups.setdefault(fingerprint_json(values), []).append(run)
    ordered = (sorted(runs, key=lambda run: (len(run), run)) for runs in groups.values())
    return {runs[0]: runs for runs in ordered}


def mean_of_repeats(values: Sequence[float | None]) -> MeanOfRepeats:
    """Mean and sample standard deviation of the values that are known.

    >>> mean_of_repeats([1.0, 3.0, None])
    MeanOfRepeats(mean=2.0, deviation=1.4142135623730951)
    """
    known = [value for value in values if value is not None]
    if not known:
        return MeanOfRepeats(None, None)
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return MeanOfRepeats(float(np.mean(known)), deviation)
