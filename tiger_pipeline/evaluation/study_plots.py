"""Pictures that compare several runs: learning curves, codes against accuracy, sweeps."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from tiger_pipeline.evaluation.plots import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    ORANGE,
    VERMILLION,
    figure_panels,
    figure_png,
    label_panel,
)
from tiger_pipeline.evaluation.point_labels import place_labels

# All of Okabe and Ito's (2008) colors but yellow, which is lost on white.
_COLORS = (BLUE, ORANGE, GREEN, VERMILLION, "#56B4E9", "#CC79A7", "#000000")
_DASHES = ("-", "--")
_PALETTE = 256


def validation_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """Training loss and validation NDCG@10 by epoch, one line a run.

    Args:
        histories: by name, rows with `epoch`, `train_loss` and `valid_ndcg@10` (None: not
            measured).
    """
    from matplotlib.ticker import MaxNLocator

    figure, panels = figure_panels(1, 2, height=3.4 + 0.1 * len(histories))
    styles = ((color, dash) for dash in cycle(_DASHES) for color in _COLORS)
    for (name, history), (color, dash) in zip(histories.items(), styles, strict=False):
        for panel, column in zip(panels, ("train_loss", "valid_ndcg@10"), strict=True):
            measured = [row for row in history if row.get(column) is not None]
            epochs = [row["epoch"] for row in measured]
            values = [row[column] for row in measured]
            panel.plot(
                epochs, values, color=color, linestyle=dash, marker="o", markersize=3, label=name
            )
    label_panel(panels[0], "Training loss", "epoch", "cross-entropy")
    label_panel(panels[1], "Validation NDCG@10", "epoch", "")
    for panel in panels:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure_png(figure, _PALETTE)


def labeled_scatter(
    points: Mapping[str, tuple[float, float, float | None]], title: str, x: str, y: str
) -> bytes:
    """One named point a model.

    Args:
        points: by name, x, y and half the length of the whisker along y (None for none).
        title: of the picture.
        x: what is drawn from left to right.
        y: what is drawn upwards.
    """
    figure, (panel,) = figure_panels(1, 1, height=4.2)
    for across, upwards, spread in points.values():
        panel.errorbar(across, upwards, spread or 0.0, fmt="o", color=BLUE, ecolor=GRAY)
    panel.margins(x=0.2, y=0.12)
    label_panel(panel, title, x, y)
    place_labels(panel, [point[:2] for point in points.values()], list(points), INK)
    return figure_png(figure, _PALETTE)


def sweep_curves(
    values: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float | None]]],
    title: str,
    x: str,
) -> bytes:
    """What was measured at each value of a setting, one panel a quantity.

    Args:
        values: of the setting, ascending, drawn at equal distances.
        panels: by title of the panel, its lines by name, one number a value.
        title: of the whole picture.
        x: the setting's name.
    """
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure, axes = figure_panels(rows, columns, height=2.7 * rows)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    places = range(len(values))
    for panel, (name, lines) in zip(axes, panels.items(), strict=False):
        for (label, numbers), color in zip(lines.items(), _COLORS, strict=False):
            panel.plot(
                places,
                [float("nan") if number is None else number for number in numbers],
                color=color,
                marker="o",
                markersize=3.5,
                label=label,
            )
        panel.set_xticks(places, [f"{value:g}" for value in values])
        if len(lines) > 1:
            panel.legend(fontsize=8, frameon=False)
        label_panel(panel, name, x, "")
    figure.suptitle(title, fontsize=9, color=INK)
    return figure_png(figure, _PALETTE)
