"""All checks in their order, and what they found as a table or as JSON."""

import json
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.diagnosis.dagster_home import check_dagster_home
from tiger_pipeline.diagnosis.devices import check_devices, check_memory, check_threads
from tiger_pipeline.diagnosis.finding import Finding
from tiger_pipeline.diagnosis.places import check_store
from tiger_pipeline.diagnosis.software import check_faiss, check_packages, check_python

_LEVEL_WIDTH, _NAME_WIDTH = 7, 22


def diagnose(asked: Collection[str] = ()) -> Iterator[Finding]:
    """Run all checks. Only a store in a bucket is asked over the network, no model loaded.

    Args:
        asked: datasets that are to be run; what they lack is an error.
    """
    yield check_python()
    packages = list(check_packages())
    yield from packages
    yield check_faiss()
    if all(finding.level == "ok" for finding in packages if finding.name == "torch"):
        devices = list(check_devices())
        yield from devices
        if all(finding.level != "error" for finding in devices if finding.name == "PyTorch"):
            yield check_threads()
    yield check_memory()
    yield from check_store()
    yield from check_dagster_home()
    if is_runnable(packages):
        # The readers need them, so even importing these checks does.
        from tiger_pipeline.diagnosis.datasets import check_datasets

        yield from check_datasets(Presets(), asked)


def is_runnable(findings: Sequence[Finding]) -> bool:
    """Whether nothing makes a run impossible."""
    return all(finding.level != "error" for finding in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """The findings for machines: `runnable`, and `findings` with their fields."""
    document = {
        "runnable": is_runnable(findings),
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_table(findings: Sequence[Finding], width: int = 100) -> str:
    """The findings for people, under headings, in lines of at most `width` characters.

    Args:
        findings: those of an area beside each other.
        width: of the terminal; at least 80 are used.
    """
    lines = []
    for area, group in groupby(findings, key=lambda finding: finding.area):
        lines += ["", area]
        for finding in group:
            lines += _lines_of(finding, max(width, 80))
    return "\n".join([*lines[1:], "", _summary(findings)])


def _lines_of(finding: Finding, width: int) -> Iterator[str]:
    name_column, value_column = " " * (_LEVEL_WIDTH + 4), " " * (_LEVEL_WIDTH + _NAME_WIDTH + 5)
    start = f"  {finding.level:<{_LEVEL_WIDTH}}  {finding.name:<{_NAME_WIDTH}} "
    if len(finding.name) > _NAME_WIDTH:
        yield start
        start = value_column
    yield from _wrap(finding.value, width, start, value_column)
    yield from _wrap(finding.advice, width, f"{name_column}→ ", f"{name_column}  ")


def _wrap(text: str, width: int, first: str, rest: str) -> list[str]:
    """Lines of `text`, none of whose words (paths) is broken."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    counted = ", ".join(
        f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}"
        for level in ("error", "warning")
        if counts[level]
    )
    if counts["error"]:
        return f"{counted}: no run is possible until the errors are mended."
    return f"{counted}: runs are possible." if counted else "Nothing is wrong: runs are possible."
