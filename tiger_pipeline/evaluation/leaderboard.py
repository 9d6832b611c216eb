"""All models of a dataset side by side, measured on test under one protocol."""

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.evaluation import plots
from tiger_pipeline.evaluation.html_elements import DASH, number, p_value
from tiger_pipeline.evaluation.metrics import METRIC_TITLES
from tiger_pipeline.evaluation.paired_bootstrap import PerUserRanks
from tiger_pipeline.evaluation.protocol import EvaluationProtocol
from tiger_pipeline.evaluation.report_inputs import SUMMARY_FIELDS
from tiger_pipeline.evaluation.result_tables import MetricValues, codes_alone_row

if TYPE_CHECKING:
    import pyarrow as pa

_VALUES = {
    "hit_rate@1": ("hit_rate", 1, "masked"),
    "hit_rate@5": ("hit_rate", 5, "masked"),
    "hit_rate@10": ("hit_rate", 10, "masked"),
    "ndcg@5": ("ndcg", 5, "masked"),
    "ndcg@10": ("ndcg", 10, "masked"),
    "ndcg@10_seen_kept": ("ndcg", 10, "kept"),
}
_RANKED_BY = "ndcg@10"
_AGAINST = "against_row_above"


def build_leaderboard(
    metrics_by_variant: "Mapping[str, pa.Table]",
    summaries: Mapping[str, Mapping[str, Any]],
    baselines: "pa.Table | None" = None,
    ranks_by_variant: "Mapping[str, pa.Table] | None" = None,
    baseline_ranks: "pa.Table | None" = None,
) -> "pa.Table":
    """One row a model, the best NDCG@10 with seen items masked first.

    With ranks, every row is compared with the one above it: which places are more than luck?

    Args:
        metrics_by_variant: each variant's long metrics table; of it only the rows whose `model`
            is the variant, or the variant by its codes alone, are used.
        summaries: each variant's `report.read_summary`, and what is known of baselines.
        baselines: long metrics table of the baselines; rows of a variant's own name are ignored.
        ranks_by_variant: each variant's long table of ranks, used as its metrics are.
        baseline_ranks: long table of the baselines' ranks.

    Returns:
        Columns rank, model, kind ("variant" or "baseline"), hit_rate@1, hit_rate@5, hit_rate@10,
        ndcg@5, ndcg@10 (seen items masked), ndcg@10_seen_kept, against_row_above (NDCG@10 of the
        row minus that of the row above), against_row_above_low and _high (95% interval),
        against_row_above_p, perplexities (list, one a level), colliding_items, suffix_tokens,
        parameters, training_seconds, best_epoch, seed, users, candidates, tie_break, holdout,
        ranking, search. Null where unknown.

    Raises:
        ArtifactMismatchError: a variant has no test values of its own, or models were measured
            under different protocols or on different users.
    """
    import pyarrow as pa

    metrics = _one_table(metrics_by_variant, baselines)
    protocol = EvaluationProtocol.of(metrics, "test", "masked")
    values = MetricValues(metrics)
    variant_rows = {*metrics_by_variant, *map(codes_alone_row, metrics_by_variant)}
    rows = []
    for model in values.models:
        summary = summaries.get(model, {})
        row: dict[str, Any] = {
            "model": model,
            "kind": "variant" if model in variant_rows else "baseline",
        }
        for column, (metric, k, seen) in _VALUES.items():
            row[column] = values.get(model, "test", seen, metric, k)
        row |= {name: summary.get(name) for name in SUMMARY_FIELDS}
        row |= {
            "users": protocol.users,
            "candidates": protocol.candidates,
            "tie_break": protocol.tie_break,
            "holdout": protocol.holdout,
            "ranking": protocol.ranking,
            "search": values.searches[model],
        }
        rows.append(row)
    rows.sort(key=lambda row: (-(row[_RANKED_BY] or 0.0), row["model"]))
    if ranks_by_variant is not None:
        ranks = PerUserRanks(_one_table(ranks_by_variant, baseline_ranks))
        for above, row in pairwise(rows):
            if None not in (row[_RANKED_BY], above[_RANKED_BY]):
                row |= _against(ranks, row["model"], above["model"])
    ranked = [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(ranked, schema=_schema())


def _against(ranks: PerUserRanks, model: str, above: str) -> dict[str, float]:
    metric, k = _RANKED_BY.split("@")
    difference = ranks.compare(model, above, "test", "masked", metric, int(k)).difference
    return {
        _AGAINST: difference.mean,
        f"{_AGAINST}_low": difference.low,
        f"{_AGAINST}_high": difference.high,
        f"{_AGAINST}_p": difference.p_value,
    }


def leaderboard_markdown(leaderboard: "pa.Table") -> str:
    """The leaderboard as a Markdown table; baselines in italics."""
    titles = [
        "#",
        "model",
        *("NDCG@10, seen kept" if name.endswith("kept") else _title(name) for name in _VALUES),
        "NDCG@10 against the row above",
        "p",
        "PPL a level",
        "colliding items",
        "suffixes",
        "parameters",
        "training s",
    ]
    alignment = ["---:", "---", *["---:"] * (len(titles) - 2)]
    lines = [titles, alignment]
    for row in leaderboard.to_pylist():
        name = row["model"].replace("|", "\\|")
        perplexities = [number(value, ",.0f") for value in row["perplexities"] or []]
        lines.append(
            [
                str(row["rank"]),
                f"*{name}*" if row["kind"] == "baseline" else f"**{name}**",
                *(number(row[column], ".4f") for column in _VALUES),
                _against_shown(row),
                p_value(row[f"{_AGAINST}_p"]),
                " / ".join(perplexities) or DASH,
                number(row["colliding_items"], ",d"),
                number(row["suffix_tokens"], ",d"),
                number(row["parameters"], ",d"),
                number(row["training_seconds"], ",.0f"),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _against_shown(row: Mapping[str, Any]) -> str:
    if row[_AGAINST] is None:
        return DASH
    low, high = (number(row[f"{_AGAINST}_{end}"], "+.4f") for end in ("low", "high"))
    return f"{number(row[_AGAINST], '+.4f')} [{low}, {high}]"


def leaderboard_picture(leaderboard: "pa.Table") -> bytes:
    """Bars of HR@10 and NDCG@10 as PNG, in the order of the leaderboard; variants in blue."""
    rows = leaderboard.to_pylist()
    panels = {
        _title(column): {row["model"]: row[column] for row in rows}
        for column in ("hit_rate@10", "ndcg@10")
    }
    variants = [row["model"] for row in rows if row["kind"] == "variant"]
    ranking = leaderboard["ranking"][0].as_py()
    return plots.accuracy_bars(panels, variants, f"Test, seen items masked, {ranking} ranking")


def _one_table(
    metrics_by_variant: "Mapping[str, pa.Table]", baselines: "pa.Table | None"
) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for variant, metrics in metrics_by_variant.items():
        test = metrics.filter(pc.field("split") == "test")
        own = test.filter(pc.field("model").isin([variant, codes_alone_row(variant)]))
        if variant not in own["model"].to_pylist():
            raise ArtifactMismatchError(
                f"The metrics of variant {variant!r} hold no test values of that model. Put "
                "'test' into `evaluation.splits` and materialize its `metrics` again."
            )
        parts.append(own)
    if baselines is not None:
        named_as_variant = pc.field("model").isin(list(metrics_by_variant))
        parts.append(baselines.filter((pc.field("split") == "test") & ~named_as_variant))
    if not parts:
        raise ArtifactMismatchError(
            "There are no metrics to compare. Materialize `metrics` of a variant first."
        )
    return pa.concat_tables(parts)


def _title(column: str) -> str:
    metric, k = column.split("@")
    return f"{METRIC_TITLES[metric]}@{k}"


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("rank", pa.int32()),
            ("model", pa.string()),
            ("kind", pa.string()),
            *((column, pa.float64()) for column in _VALUES),
            *((f"{_AGAINST}{end}", pa.float64()) for end in ("", "_low", "_high", "_p")),
            ("perplexities", pa.list_(pa.float64())),
            ("colliding_items", pa.int64()),
            ("suffix_tokens", pa.int64()),
            ("parameters", pa.int64()),
            ("training_seconds", pa.float64()),
            ("best_epoch", pa.int64()),
            ("seed", pa.int64()),
            ("users", pa.int64()),
            ("candidates", pa.int64()),
            ("tie_break", pa.string()),
            ("holdout", pa.string()),
            ("ranking", pa.string()),
            ("search", pa.string()),
        ]
    )
