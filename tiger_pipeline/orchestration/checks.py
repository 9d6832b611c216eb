"""Asset checks: problems found by the science become check results that block what is downstream.

Checks run inside the asset's step, where the artifact is at hand, and by partition.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

_SHOWN = 20


def blocking_check(name: str, asset: str, description: str) -> dg.AssetCheckSpec:
    """A check whose failure stops the assets downstream."""
    return dg.AssetCheckSpec(name, asset=asset, description=description, blocking=True)


def warning_check(name: str, asset: str, description: str) -> dg.AssetCheckSpec:
    """A check whose failure is shown, but stops nothing."""
    return dg.AssetCheckSpec(name, asset=asset, description=description)


def check_result(
    name: str,
    asset: str,
    problems: Sequence[str],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    metadata: Mapping[str, Any] | None = None,
) -> dg.AssetCheckResult:
    """Passed when there are no problems; else failed, with the first of them shown."""
    shown = "\n".join(f"- {problem}" for problem in problems[:_SHOWN])
    return dg.AssetCheckResult(
        passed=not problems,
        check_name=name,
        asset_key=asset,
        severity=severity,
        description=problems[0] if problems else None,
        metadata={
            "problems": len(problems),
            "first_problems": dg.MetadataValue.md(shown),
            **(metadata or {}),
        },
    )
