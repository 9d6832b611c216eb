"""All models of a dataset side by side, measured on test under one protocol."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tiger_pipeline.errors import ArtifactMismatchError
from tiger_pipeline.evaluation import plots
from tiger_pipeline.evaluation.html_elements import DASH, number, p_value
from tiger_pipeline.evaluation.metrics import METRIC_TITLES
from tiger_pipeline.evaluation.paired_bootstrap import PerUserRanks
from tiger_pipeline.evaluation.protocol import EvaluationProtocol
from tiger_pipeline.evaluation.repeats import mean_of_repeats
from tiger_pipeline.evaluation.report_inputs import SUMMARY_FIELDS
from tiger_pipeline.evaluation.result_tables import MetricValues, row_of, variant_of

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
_WITH_DEVIATION = (*_VALUES, "colliding_items")
_AGAINST = "against_row_above"
_MEANT = ("colliding_items", "suffix_tokens", "parameters", "training_seconds", "best_epoch")


def build_leaderboard(
    metrics_by_variant: "Mapping[str, pa.Table]",
    summaries: Mapping[str, Mapping[str, Any]],
    baselines: "pa.Table | None" = None,
    ranks_by_variant: "Mapping[str, pa.Table] | None" = None,
    baseline_ranks: "pa.Table | None" = None,
    repeats: Mapping[str, Sequence[str]] | None = None,
) -> "pa.Table":
    """One row a model, the best NDCG@10 with seen items masked first; then the repeats one by one.

    With ranks, every row is compared with the one above it: which places are more than luck?

    Args:
        metrics_by_variant: each variant's long metrics table; of it only the rows of the variant
            itself (`result_tables.variant_of`) are used.
        summaries: each variant's `report.read_summary`, and what is known of baselines.
        baselines: long metrics table of the baselines; rows of a variant's own name are ignored.
        ranks_by_variant: each variant's long table of ranks, used as its metrics are.
        baseline_ranks: long table of the baselines' ranks.
        repeats: variants that differ by seeds only (`repeats.group_repeats`): they share a row.

    Returns:
        Columns rank, model, kind ("variant", "baseline", or "run" for one of the runs behind the
        mean of a variant; these have no rank), seeds (number of runs behind the row),
        hit_rate@1, hit_rate@5, hit_rate@10, ndcg@5, ndcg@10 (seen items masked),
        ndcg@10_seen_kept, against_row_above (NDCG@10 of the row minus that of the row above),
        against_row_above_low and _high (95% interval), against_row_above_p, perplexities (list,
        one a level), colliding_items, suffix_tokens, parameters, training_seconds, best_epoch,
        the sample standard deviation over seeds of the metrics and of colliding_items under
        their names with _sd, seed, search, users, candidates, tie_break, holdout, ranking. Null
        where unknown.

    Raises:
        ArtifactMismatchError: a variant has no test values of its own, or models were measured
            under different protocols or on different users.
    """
    import pyarrow as pa

    metrics = _one_table(metrics_by_variant, baselines)
    protocol = EvaluationProtocol.of(metrics, "test", "masked")
    values = MetricValues(metrics)
    runs = [_run(values, model, metrics_by_variant, summaries) for model in values.models]
    members = _members(values.models, repeats or {})
    rows = _means(runs, members)
    rows.sort(key=lambda row: (-(row[_RANKED_BY] or 0.0), row["model"]))
    if ranks_by_variant is not None:
        ranks = PerUserRanks(_one_table(ranks_by_variant, baseline_ranks), members)
        for above, row in pairwise(rows):
            if None not in (row[_RANKED_BY], above[_RANKED_BY]):
                row |= _against(ranks, row["model"], above["model"])
    ranked = [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]
    repeated = {member for group in members.values() if len(group) > 1 for member in group}
    ranked += [{**run, "kind": "run"} for run in runs if run["model"] in repeated]
    measured = {
        "users": protocol.users,
        "candidates": protocol.candidates,
        "tie_break": protocol.tie_break,
        "holdout": protocol.holdout,
        "ranking": protocol.ranking,
    }
    return pa.Table.from_pylist([{**row, **measured} for row in ranked], schema=_schema())


def _run(
    values: MetricValues,
    model: str,
    variants: "Mapping[str, pa.Table]",
    summaries: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The row of one run, or of a baseline."""
    variant = variant_of(model)
    summary = summaries.get(variant, {}) if model == variant else {}
    return {
        "model": model,
        "kind": "variant" if variant in variants else "baseline",
        "seeds": 1 if variant in variants else None,
        **{
            column: values.get(model, "test", seen, metric, k)
            for column, (metric, k, seen) in _VALUES.items()
        },
        **{name: summary.get(name) for name in SUMMARY_FIELDS},
        "search": values.searches[model],
    }


def _members(models: Sequence[str], repeats: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """By row of the leaderboard, the models that it is the mean of, in the order of `models`."""
    group_of = {run: group for group, runs in repeats.items() for run in runs}
    members: dict[str, list[str]] = {}
    for model in models:
        run = variant_of(model)
        row = row_of(group_of.get(run, run), model)
        members.setdefault(row, []).append(model)
    return members


def _means(
    runs: Sequence[Mapping[str, Any]], members: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """A row a group of runs: means, and the spread of what varies with the seed."""
    by_model = {run["model"]: run for run in runs}
    rows = []
    for row, models in members.items():
        first, *others = group = [by_model[model] for model in models]
        if not others:
            rows.append({**first})
            continue
        mean = {**first, "model": row, "seeds": len(group), "seed": None}
        for column in (*_VALUES, *_MEANT):
            found = mean_of_repeats([run[column] for run in group])
            mean[column] = found.mean
            if column in _WITH_DEVIATION:
                mean[f"{column}_sd"] = found.deviation
        levels = zip(*(run["perplexities"] or [] for run in group), strict=True)
        mean["perplexities"] = [mean_of_repeats(level).mean for level in levels]
        rows.append(mean)
    return rows


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
    """The ranked rows as a Markdown table; baselines in italics, ± the deviation over seeds."""
    titles = [
        "#",
        "model",
        "seeds",
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
    for row in _ranked(leaderboard):
        name = row["model"].replace("|", "\\|")
        perplexities = [number(value, ",.0f") for value in row["perplexities"] or []]
        lines.append(
            [
                str(row["rank"]),
                f"*{name}*" if row["kind"] == "baseline" else f"**{name}**",
                number(row["seeds"], "d"),
                *(_with_deviation(row, column, ".4f") for column in _VALUES),
                _against_shown(row),
                p_value(row[f"{_AGAINST}_p"]),
                " / ".join(perplexities) or DASH,
                _with_deviation(row, "colliding_items", ",.0f"),
                number(row["suffix_tokens"], ",.0f"),
                number(row["parameters"], ",.0f"),
                number(row["training_seconds"], ",.0f"),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _ranked(leaderboard: "pa.Table") -> list[dict[str, Any]]:
    return [row for row in leaderboard.to_pylist() if row["rank"] is not None]


def _with_deviation(row: Mapping[str, Any], column: str, form: str) -> str:
    shown, deviation = number(row[column], form), row[f"{column}_sd"]
    return shown if deviation is None else f"{shown} ± {number(deviation, form)}"


def _against_shown(row: Mapping[str, Any]) -> str:
    if row[_AGAINST] is None:
        return DASH
    low, high = (number(row[f"{_AGAINST}_{end}"], "+.4f") for end in ("low", "high"))
    return f"{number(row[_AGAINST], '+.4f')} [{low}, {high}]"


def leaderboard_picture(leaderboard: "pa.Table") -> bytes:
    """Bars of HR@10 and NDCG@10 as PNG, in the order of the leaderboard; variants in blue."""
    rows = _ranked(leaderboard)
    columns = ("hit_rate@10", "ndcg@10")
    panels = {_title(column): {row["model"]: row[column] for row in rows} for column in columns}
    deviations = {
        _title(column): {row["model"]: row[f"{column}_sd"] for row in rows} for column in columns
    }
    variants = [row["model"] for row in rows if row["kind"] == "variant"]
    ranking = leaderboard["ranking"][0].as_py()
    title = f"Test, seen items masked, {ranking} ranking; whiskers: deviation over seeds"
    return plots.accuracy_bars(panels, variants, title, deviations)


def _one_table(
    metrics_by_variant: "Mapping[str, pa.Table]", baselines: "pa.Table | None"
) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for variant, metrics in metrics_by_variant.items():
        test = metrics.filter(pc.field("split") == "test")
        models = pc.unique(test["model"]).to_pylist()
        if variant not in models:
            raise ArtifactMismatchError(
                f"The metrics of variant {variant!r} hold no test values of that model. Put "
                "'test' into `evaluation.splits` and materialize its `metrics` again."
            )
        own = [model for model in models if variant_of(model) == variant]
        parts.append(test.filter(pc.field("model").isin(own)))
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
            ("seeds", pa.int32()),
            *((column, pa.float64()) for column in _VALUES),
            *((f"{_AGAINST}{end}", pa.float64()) for end in ("", "_low", "_high", "_p")),
            ("perplexities", pa.list_(pa.float64())),
            *((column, pa.float64()) for column in _MEANT),
            *((f"{column}_sd", pa.float64()) for column in _WITH_DEVIATION),
            ("seed", pa.int64()),
            ("users", pa.int64()),
            ("candidates", pa.int64()),
            ("tie_break", pa.string()),
            ("holdout", pa.string()),
            ("ranking", pa.string()),
            ("search", pa.string()),
        ]
    )
