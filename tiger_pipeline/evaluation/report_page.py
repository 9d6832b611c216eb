"""The report as one self-contained HTML page: no script, no request, pictures inside."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tiger_pipeline.evaluation.baselines.standard import POPULARITY
from tiger_pipeline.evaluation.html_elements import (
    card,
    group_row,
    note,
    number,
    p_value,
    picture,
    plain,
    row,
    section,
    table,
)
from tiger_pipeline.evaluation.json_values import json_ready
from tiger_pipeline.evaluation.metrics import METRIC_TITLES
from tiger_pipeline.evaluation.paired_bootstrap import CONFIDENCE, RESAMPLES, PairedComparison
from tiger_pipeline.evaluation.protocol import SEEN, EvaluationProtocol
from tiger_pipeline.evaluation.report_inputs import ReportInputs
from tiger_pipeline.evaluation.report_style import STYLE
from tiger_pipeline.evaluation.result_tables import SPLIT_TITLES, MetricValues

_CAPTIONS = {
    "accuracy": "Accuracy against the baselines under the same protocol.",
    "training": "Training loss and validation NDCG@10; dashed: the epoch that was kept.",
    "code_use": "Items on each codeword, by level; dashed: perfectly even use.",
    "collisions": "Gray: tuples of codes with one item. Red: tuples that need a suffix.",
}
_LEVEL_COLUMNS = {
    "codewords": ("codewords", ",d"),
    "used": ("used", ",d"),
    "utilization": ("utilization", ".1%"),
    "perplexity": ("perplexity", ",.1f"),
    "reconstruction_mse": ("reconstruction MSE", ".3g"),
    "relative_reconstruction_error": ("relative error", ".3f"),
}
_COLLISION_COLUMNS = {
    "items": ("items", ",d"),
    "unique_tuples": ("distinct tuples", ",d"),
    "colliding_items": ("colliding items", ",d"),
    "collision_rate": ("collision rate", ".2%"),
    "largest_group": ("largest group", ",d"),
    "suffix_tokens": ("suffix tokens", ",d"),
}


def render_page(
    inputs: ReportInputs,
    pictures: Mapping[str, bytes],
    comparisons: Sequence[PairedComparison] = (),
) -> str:
    """The page.

    Args:
        inputs: what to show.
        pictures: PNG by name (`report.draw_pictures`).
        comparisons: of the variant with other models (`report.compare_with_others`).

    Raises:
        ArtifactMismatchError: the models in the metrics were not measured under one protocol.
    """
    values = MetricValues(inputs.metrics)
    figures = {name: picture(png, _CAPTIONS[name]) for name, png in pictures.items()}
    sections = [
        section("Accuracy", figures.get("accuracy", "") + _accuracy(inputs, values)),
        section("Differences", _differences(comparisons)),
        section("Training", _training(inputs) + figures.get("training", "")),
        section("Semantic IDs", _codes(inputs, figures)),
        section("Protocol", _protocols(inputs, values)),
        section("Run", _facts(inputs.facts)),
        section("Configuration", _settings(inputs.settings)),
    ]
    dataset, variant = escape(inputs.dataset), escape(inputs.variant)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{dataset} × {variant}: metric report</title>\n<style>{STYLE}</style>\n"
        '</head>\n<body>\n<main>\n<header>\n<p class="kicker">Metric report</p>\n'
        f"<h1>{dataset} <span>×</span> {variant}</h1>\n"
        f'<div class="cards">\n{_cards(inputs, values)}</div>\n</header>\n{"".join(sections)}'
        "<footer>Made by tiger_pipeline. The same numbers are in metrics.json and "
        "metrics.parquet, every user's ranks in ranks.parquet.</footer>\n"
        "</main>\n</body>\n</html>\n"
    )


def _cards(inputs: ReportInputs, values: MetricValues) -> str:
    split, k = values.headline_split(inputs.variant), values.headline_cutoff
    cards = []
    for metric, seen in (("ndcg", "masked"), ("hit_rate", "masked"), ("ndcg", "kept")):
        value = values.get(inputs.variant, split, seen, metric, k)
        floor = values.get(POPULARITY, split, seen, metric, k)
        times = f"{value / floor:.1f} × popularity" if value is not None and floor else ""
        label = f"{SPLIT_TITLES[split]} {METRIC_TITLES[metric]}@{k}, seen {seen}"
        cards.append(card(label, number(value, ".4f"), times, main=seen == "masked"))
    summary = inputs.summary()
    epochs = f"of {len(inputs.history):,} epochs" if inputs.history else ""
    items = inputs.code_statistics.get("collisions", {}).get("items")
    cards += [
        card("Epoch kept", number(summary["best_epoch"], ",d"), epochs),
        card("Parameters", number(summary["parameters"], ",d"), "of the generator"),
        card(
            "Colliding items",
            number(summary["colliding_items"], ",d"),
            "" if items is None else f"of {items:,}",
        ),
    ]
    return "".join(cards)


def _accuracy(inputs: ReportInputs, values: MetricValues) -> str:
    first = values.headline_split(inputs.variant)
    splits = [first, *(split for split in values.splits if split != first)]
    explanation = note(
        "HR@k: share of users whose next item is among the first k. NDCG@k: the same, each hit "
        "weighted by 1 / log₂(rank + 1). Blue: best of the column."
    )
    return explanation + "".join(_accuracy_table(inputs, values, split) for split in splits)


def _accuracy_table(inputs: ReportInputs, values: MetricValues, split: str) -> str:
    columns = [(metric, k) for metric in METRIC_TITLES for k in values.cutoffs]
    rows = []
    for seen in SEEN:
        rows.append(group_row(f"Seen items {seen}", 1 + len(columns)))
        # Baselines and variant may have been measured with other `evaluation.splits`.
        cells = {
            model: [values.get(model, split, seen, metric, k) for metric, k in columns]
            for model in values.models_on(split)
        }
        best = [max(value or 0 for value in column) for column in zip(*cells.values(), strict=True)]
        for model, numbers in cells.items():
            is_best = [0 < (value or 0) == top for value, top in zip(numbers, best, strict=True)]
            texts = [number(value, ".4f") for value in numbers]
            rows.append(row(model, texts, own=model == inputs.variant, best=is_best))
    titles = ["Model", *(f"{METRIC_TITLES[metric]}@{k}" for metric, k in columns)]
    return table(SPLIT_TITLES[split], titles, "".join(rows))


def _differences(comparisons: Sequence[PairedComparison]) -> str:
    if not comparisons:
        return ""
    first = comparisons[0]
    explanation = note(
        f"{SPLIT_TITLES[first.split]} values of {first.model} minus those of the model in the "
        f"row, on the same {first.users:,} users. In brackets: the {CONFIDENCE:.0%} interval of a "
        f"paired bootstrap over users ({RESAMPLES:,} resamples); p: two-sided, one comparison at "
        "a time. "
        "Another training seed is a source of chance that this does not count."
    )
    metrics = list(dict.fromkeys(comparison.metric for comparison in comparisons))
    titles = ["Against"]
    for metric in metrics:
        titles += [f"{METRIC_TITLES[metric]}@{first.k} difference", "interval", "p"]
    rows = []
    for seen in dict.fromkeys(comparison.seen for comparison in comparisons):
        rows.append(group_row(f"Seen items {seen}", len(titles)))
        cells: dict[str, list[str]] = {}
        for comparison in comparisons:
            if comparison.seen == seen:
                cells.setdefault(comparison.other, []).extend(_difference_cells(comparison))
        rows += [row(other, texts) for other, texts in cells.items()]
    return explanation + table("Against the other models", titles, "".join(rows))


def _difference_cells(comparison: PairedComparison) -> list[str]:
    difference = comparison.difference
    return [
        number(difference.mean, "+.4f"),
        f"[{number(difference.low, '+.4f')}, {number(difference.high, '+.4f')}]",
        p_value(difference.p_value),
    ]


def _training(inputs: ReportInputs) -> str:
    if not inputs.history:
        return note("There is no training history.")
    seconds = inputs.training_seconds
    took = "" if seconds is None else f" in {seconds:,.0f} seconds"
    seed = "" if inputs.seed is None else f", seed {inputs.seed}"
    return note(
        f"{len(inputs.history):,} epochs{took}{seed}. The epoch is chosen by NDCG@10 on the "
        "validation targets of a sample of users; test targets play no part in training."
    )


def _codes(inputs: ReportInputs, figures: Mapping[str, str]) -> str:
    levels = inputs.code_statistics.get("levels", [])
    collisions = inputs.code_statistics.get("collisions", {})
    rows = [
        row(
            f"Level {place}",
            [number(level.get(name), f) for name, (_, f) in _LEVEL_COLUMNS.items()],
        )
        for place, level in enumerate(levels, start=1)
    ]
    content = ""
    if levels:
        content += note(
            "Reconstruction errors are those left after a level and all before it. Perplexity is "
            "exp of the entropy of a level's use: it equals the number of codewords if all are "
            "used alike."
        )
        titles = ["Level", *(title for title, _ in _LEVEL_COLUMNS.values())]
        content += table("Codebooks", titles, "".join(rows)) + figures.get("code_use", "")
    if collisions:
        cells = [number(collisions.get(name), f) for name, (_, f) in _COLLISION_COLUMNS.items()]
        titles = ["", *(title for title, _ in _COLLISION_COLUMNS.values())]
        content += table("Collisions", titles, row("All levels", cells))
        content += figures.get("collisions", "")
    return content


def _protocols(inputs: ReportInputs, values: MetricValues) -> str:
    parts: dict[str, list[str]] = {}
    for split in values.splits:
        for seen in SEEN:
            protocol = EvaluationProtocol.of(inputs.metrics, split, seen)
            for title, sentence in protocol.in_parts().items():
                if sentence not in parts.setdefault(title, []):
                    parts[title].append(sentence)
    by_search: dict[str, list[str]] = {}
    for model, search in values.searches.items():
        by_search.setdefault(search, []).append(model)
    parts["Search"] = [f"{search}: {'; '.join(models)}." for search, models in by_search.items()]
    if inputs.targets_already_seen:
        counts = ", ".join(f"{split} {n:,}" for split, n in inputs.targets_already_seen.items())
        parts["Targets already seen"] = [
            f"{counts}: in the user's own history, and hence a miss with seen items masked."
        ]
    if inputs.untrained_targets:
        shares = ", ".join(
            f"{split} {n:,} ({n / values.users(split):.1%})"
            for split, n in inputs.untrained_targets.items()
        )
        parts["Targets never trained on"] = [
            f"{shares}: of items without a training interaction; only their text leads to them."
        ]
    entries = [
        f"<dt>{escape(title)}</dt>"
        + "".join(f"<dd>{escape(sentence)}</dd>" for sentence in sentences)
        for title, sentences in parts.items()
    ]
    return "<dl>\n" + "\n".join(entries) + "\n</dl>\n"


def _facts(facts: Mapping[str, Mapping[str, Any]]) -> str:
    groups = [
        table(title, [], "".join(row(str(name), [plain(value)]) for name, value in group.items()))
        for title, group in facts.items()
    ]
    return f'<div class="facts">\n{"".join(groups)}</div>\n' if groups else ""


def _settings(settings: Mapping[str, Any]) -> str:
    import yaml

    if not settings:
        return ""
    text = yaml.safe_dump(json_ready(settings), sort_keys=False, allow_unicode=True)
    return (
        "<details>\n<summary>All settings, as resolved for this run</summary>\n"
        f"<pre>{escape(text)}</pre>\n</details>\n"
    )
