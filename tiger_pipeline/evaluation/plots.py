"""Pictures of a report, as PNG bytes small enough to be embedded in a page or in metadata."""

import base64
import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of Okabe and Ito (2008), which stays apart under every kind of color blindness.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GRAY, INK, GRID = "#9AA3AE", "#1F2933", "#E4E7EB"
_CURVES = (BLUE, ORANGE, GREEN, VERMILLION)
_DPI = 150


def figure_png(figure: "Figure", colors: int = 64) -> bytes:
    """The figure as PNG with a palette; equal figures give equal bytes.

    A palette makes charts a third as large, so that a picture of many bars still fits into the
    100 KB that Dagster's UI shows of one metadata entry.

    Args:
        figure: to draw.
        colors: of the palette, at most 256; lines of many colors need them all to stay apart.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    picture.quantize(colors, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def picture_source(png: bytes) -> str:
    """The picture as a `data:` URL."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def picture_markdown(png: bytes, title: str) -> str:
    """The picture inside Markdown, as Dagster shows it in an asset's metadata."""
    text = title.replace("[", "(").replace("]", ")")
    return f"![{text}]({picture_source(png)})"


def training_curves(history: Sequence[Mapping[str, Any]], best_epoch: int | None) -> bytes:
    """Training loss and validation NDCG@10 by epoch, the chosen epoch marked.

    Args:
        history: rows with `epoch`, `train_loss` and `valid_ndcg@10` (None: not measured).
        best_epoch: the epoch that was kept.
    """
    from matplotlib.ticker import MaxNLocator

    figure, (left, right) = figure_panels(1, 2, height=2.9)
    losses = {row["epoch"]: row["train_loss"] for row in history}
    measured = {
        row["epoch"]: row["valid_ndcg@10"]
        for row in history
        if row.get("valid_ndcg@10") is not None
    }
    best = measured.get(best_epoch)
    shown = "" if best is None else f": {best:.4f} in epoch {best_epoch}"
    for axes, curve, color in ((left, losses, ORANGE), (right, measured, BLUE)):
        axes.plot(list(curve), list(curve.values()), color, linewidth=2, marker="o", markersize=3)
        axes.set_xlim(min(losses) - 0.5, max(losses) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if best_epoch is not None:
            axes.axvline(best_epoch, color=VERMILLION, linestyle="--", linewidth=1.2)
    if not measured:
        right.text(0.5, 0.5, "not measured", transform=right.transAxes, ha="center", color=INK)
        right.set_yticks([])
    label_panel(left, "Training loss", "epoch", "cross-entropy")
    label_panel(right, f"Validation NDCG@10{shown}", "epoch", "")
    return figure_png(figure)


def quantizer_curves(history: Sequence[Mapping[str, Any]], best_epoch: int) -> bytes:
    """Losses, perplexity and utilization a level, and colliding items by epoch of a quantizer.

    Args:
        history: rows of `quantization.training_history.TrainingHistory`.
        best_epoch: the epoch that was kept, marked.
    """
    from matplotlib.ticker import MaxNLocator

    figure, panels = figure_panels(2, 2, height=5.2)
    evaluated = [row for row in history if row["perplexity"] is not None]
    _draw(panels[0], history, "reconstruction_loss", "reconstruction", ORANGE)
    _draw(panels[0], history, "codebook_loss", "codebook", BLUE)
    for level, color in zip(range(len(evaluated[0]["perplexity"])), cycle(_CURVES), strict=False):
        for panel, figure_of_level in ((panels[1], "perplexity"), (panels[2], "utilization")):
            values = [row[figure_of_level][level] for row in evaluated]
            epochs = [row["epoch"] for row in evaluated]
            panel.plot(epochs, values, color, linewidth=1.6, label=f"level {level + 1}")
    _draw(panels[3], evaluated, "colliding_items", None, VERMILLION)
    titles = ("Training losses", "Perplexity", "Codewords in use", "Colliding items")
    for panel, title in zip(panels, titles, strict=True):
        panel.axvline(best_epoch, color=GRAY, linestyle="--", linewidth=1.2)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.margins(x=0.02)
        label_panel(panel, title, "epoch", "")
    panels[2].set_ylim(0, 1.05)
    for panel in panels[:2]:
        panel.legend(fontsize=8, frameon=False)
    figure.suptitle(f"Dashed: epoch {best_epoch}, which was kept", fontsize=9, color=INK)
    return figure_png(figure)


def _draw(
    panel: "Axes", rows: Sequence[Mapping[str, Any]], name: str, label: str | None, color: str
) -> None:
    epochs = [row["epoch"] for row in rows]
    panel.plot(epochs, [row[name] for row in rows], color, linewidth=1.6, label=label)


def accuracy_bars(
    values: Mapping[str, Mapping[str, float | None]],
    highlighted: Sequence[str],
    title: str,
    deviations: Mapping[str, Mapping[str, float | None]] | None = None,
) -> bytes:
    """One panel of horizontal bars a metric.

    Args:
        values: by metric (the panel's title), then by model, in the order to be drawn from the
            top; None is drawn as no bar.
        highlighted: models in the strong color; the others are gray.
        title: of the whole picture: the protocol.
        deviations: by metric and model, half the length of a bar's whisker; None for none.
    """
    models = list(next(iter(values.values())))
    height = 1.2 + 0.28 * len(models)
    figure, panels = figure_panels(1, len(values), height=height)
    for panel, (metric, by_model) in zip(panels, values.items(), strict=True):
        numbers = [by_model[model] or 0.0 for model in models]
        colors = [BLUE if model in highlighted else GRAY for model in models]
        spread = [(deviations or {}).get(metric, {}).get(model) or 0.0 for model in models]
        bars = panel.barh(
            models, numbers, color=colors, height=0.66, xerr=spread, error_kw={"ecolor": INK}
        )
        labels = ["–" if by_model[model] is None else f"{by_model[model]:.4f}" for model in models]
        panel.bar_label(bars, labels, padding=3, fontsize=8.5, color=INK)
        panel.set_ylim(len(models) - 0.4, -0.6)
        panel.set_xlim(0, max([*numbers, 1e-6]) * 1.25)
        label_panel(panel, metric, "", "")
        panel.grid(False, axis="y")
    for panel in panels[1:]:
        panel.set_yticklabels([])
    figure.suptitle(title, fontsize=9, color=INK)
    return figure_png(figure)


def cold_start_curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float | None]]]],
    x_titles: Sequence[str],
    title: str,
) -> bytes:
    """One panel of curves beside another, one curve a model.

    Args:
        panels: by the panel's title: by model, the curve's x and y.
        x_titles: what x is, a panel.
        title: of the whole picture.
    """
    figure, axes = figure_panels(1, len(panels), height=3.1)
    for panel, (name, curves), x_title in zip(axes, panels.items(), x_titles, strict=True):
        for color, (model, (x, y)) in zip(cycle(_CURVES), curves.items(), strict=False):
            measured = [np.nan if value is None else value for value in y]
            panel.plot(x, measured, color, linewidth=1.8, marker="o", markersize=3, label=model)
        panel.set_ylim(0, 1.05 * panel.get_ylim()[1])
        label_panel(panel, name, x_title, "")
    axes[0].legend(fontsize=7.5, frameon=False, loc="lower right")
    figure.suptitle(title, fontsize=9, color=INK)
    return figure_png(figure)


def code_use(code_counts: Sequence[Sequence[int]], perplexities: Sequence[float | None]) -> bytes:
    """How many items use each codeword, most used first, one panel a level.

    Args:
        code_counts: by level, items of each codeword.
        perplexities: by level, exp of the entropy of the use.
    """
    columns = min(len(code_counts), 3)
    rows = -(-len(code_counts) // columns)
    figure, panels = figure_panels(rows, columns, height=2.6 * rows, share_y=True)
    for panel in panels[len(code_counts) :]:
        panel.set_axis_off()
    for level, (counts, perplexity) in enumerate(zip(code_counts, perplexities, strict=True)):
        panel = panels[level]
        ordered = np.sort(np.asarray(counts))[::-1]
        panel.fill_between(np.arange(len(ordered)), ordered, step="mid", color=BLUE, linewidth=0)
        panel.axhline(ordered.mean(), color=VERMILLION, linestyle="--", linewidth=1.2)
        shown = "" if perplexity is None else f": PPL {perplexity:.0f} of {len(ordered)}"
        label_panel(panel, f"Level {level + 1}{shown}", "codewords, most used first", "")
        panel.set_xlim(-0.5, len(ordered) - 0.5)
        panel.set_ylim(0)
    panels[0].set_ylabel("items (dashed: even use)", fontsize=8.5, color=INK)
    return figure_png(figure)


def collision_groups(group_sizes: Mapping[int, int]) -> bytes:
    """How many code tuples are shared by how many items, on a logarithmic scale.

    Args:
        group_sizes: items of a tuple → number of such tuples.
    """
    figure, (panel,) = figure_panels(1, 1, height=2.6)
    sizes = sorted(group_sizes)
    counts = [group_sizes[size] for size in sizes]
    colors = [GRAY if size == 1 else VERMILLION for size in sizes]
    few = len(sizes) <= 25
    places = [str(size) for size in sizes] if few else sizes
    bars = panel.bar(places, counts, color=colors, width=0.7)
    if few:
        panel.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=8.5)
    panel.set_yscale("log")
    panel.set_ylim(0.7, max(counts) * 3)
    label_panel(
        panel, "Tuples of codes by the items that share them", "items on one tuple", "tuples"
    )
    panel.grid(False, axis="x")
    return figure_png(figure)


def figure_panels(
    rows: int, columns: int, height: float, share_y: bool = False
) -> "tuple[Figure, list[Axes]]":
    """A figure as wide as the report's column; an object of its own, no pyplot state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, height), dpi=_DPI, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    return figure, list(grid.ravel())


def label_panel(axes: "Axes", title: str, x: str, y: str) -> None:
    """Title and axis labels, and the look that all pictures share."""
    axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold", color=INK)
    axes.set_xlabel(x, fontsize=8.5, color=INK)
    axes.set_ylabel(y, fontsize=8.5, color=INK)
    axes.tick_params(which="both", labelsize=8.5, length=0, colors=INK)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRAY)
