"""The parts that every document of results has: protocol, table, learning curves, settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from tiger_pipeline.evaluation.html_elements import plain
from tiger_pipeline.evaluation.leaderboard import leaderboard_markdown, leaderboard_picture
from tiger_pipeline.evaluation.protocol import EvaluationProtocol
from tiger_pipeline.evaluation.result_document import Section, markdown_table
from tiger_pipeline.evaluation.study_plots import validation_curves
from tiger_pipeline.workflows.finished_runs import FinishedRuns

_TABLE = """\
Metrics are those of the test split with seen items masked, unless a column says otherwise; ± is
the sample standard deviation over seeds. The difference to the row above comes from a paired
bootstrap over users of the means over seeds: difference, 95% interval, p. Seconds are those of the
generator's training on the machine that ran it, of the quantizer's fit in the table below.
"""
_NOT_COMPARED = ("seed", "sasrec")


def protocol_section(runs: FinishedRuns, title: str = "Protocol") -> Section:
    """How every number was measured.

    Raises:
        ArtifactMismatchError: not all were measured alike.
    """
    import pyarrow as pa

    protocol = EvaluationProtocol.of(pa.concat_tables(runs.metrics.values()), "test", "masked")
    lines = [f"- **{part}.** {sentence}" for part, sentence in protocol.in_parts().items()]
    lines.append(
        "- **Epoch.** Chosen by NDCG@10 on validation targets; test targets chose nothing."
    )
    return Section(title, "\n".join(lines), {})


def table_section(runs: FinishedRuns, title: str, picture: str) -> Section:
    """The leaderboard of the runs and the baselines.

    Args:
        runs: to show.
        title: of the section.
        picture: file name of its picture.
    """
    table = runs.leaderboard()
    drawn = {picture: ("HR@10 and NDCG@10 of every row", leaderboard_picture(table))}
    return Section(title, f"{_TABLE}\n{leaderboard_markdown(table)}", drawn)


def curves_section(runs: FinishedRuns, title: str, picture: str) -> Section:
    """Learning curves of the first seed of every row."""
    histories = {name: runs.contents[name]["history"] for name in runs.repeats}
    drawn = {picture: ("Loss and validation NDCG@10 by epoch", validation_curves(histories))}
    return Section(title, "The first seed of every row.", drawn)


def settings_section(runs: FinishedRuns, title: str) -> Section:
    """The settings that all rows share, and those in which each differs; no paths, no machine."""
    by_row = {
        name: dict(_flat(_what_was_run(runs.contents[name]["settings"]))) for name in runs.repeats
    }
    first, *others = by_row.values()
    shared = {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }
    own = {
        name: {key: value for key, value in values.items() if key not in shared}
        for name, values in by_row.items()
    }
    shared_table = markdown_table(
        ["setting of all rows", "value"], [[f"`{key}`", plain(v)] for key, v in shared.items()]
    )
    own_table = markdown_table(
        ["row", "settings of its own", "epochs trained", "quantizer s"],
        [[name, _listed(values), *_effort(runs, name)] for name, values in own.items()],
    )
    return Section(title, f"{shared_table}\n{own_table}", {})


def _what_was_run(settings: Mapping[str, Any]) -> dict[str, Any]:
    model = settings["model"]
    return {
        "quantizer": model["quantizer"],
        "generator": model["generator"],
        "training": settings["training"],
        "evaluation": settings["evaluation"],
    }


def _flat(values: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if key in _NOT_COMPARED:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def _listed(values: Mapping[str, Any]) -> str:
    """Quantizer settings by their own name, as they are most of all that differs."""
    return ", ".join(
        f"`{key.removeprefix('quantizer.')}` {plain(value)}" for key, value in values.items()
    )


def _effort(runs: FinishedRuns, name: str) -> tuple[str, str]:
    """Epochs of the generator, and the quantizer's seconds, of each run of a row."""
    contents = [runs.contents[run] for run in runs.repeats[name]]
    epochs = [plain(len(content["history"])) for content in contents]
    seconds = [plain(content["facts"]["Seconds"]["codebooks"]) for content in contents]
    return ", ".join(epochs), ", ".join(seconds)
