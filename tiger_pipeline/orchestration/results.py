"""What a step hands to Dagster when its artifact is a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from tiger_pipeline.orchestration.previews import table_preview


def table_result(
    table,
    *,
    asset_key: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    check_results: Sequence[dg.AssetCheckResult] = (),
    data_version: str | None = None,
) -> dg.MaterializeResult:
    """A `pyarrow.Table` for the IO manager, with its first rows and its content as data version.

    The data version is the table's own fingerprint unless another is given: when a run makes the
    same table again, what is downstream stays fresh.
    """
    from tiger_pipeline.storage.fingerprint import fingerprint_table

    return dg.MaterializeResult(
        asset_key=asset_key,
        value=table,
        data_version=dg.DataVersion(data_version or fingerprint_table(table)),
        metadata={**(metadata or {}), "first_rows": table_preview(table)},
        check_results=list(check_results),
    )
