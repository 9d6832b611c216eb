"""Names beside points of a picture, each where it covers no other."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_Place: TypeAlias = tuple[tuple[int, int], Literal["left", "right"]]


def _places() -> Iterator[_Place]:
    for distance in (4, 14, 24):
        for upwards in (distance, -distance - 7):
            yield (7, upwards), "left"
            yield (-7, upwards), "right"


_PLACES = list(_places())
"""Tried in this order: offsets from the point, in points of print, and horizontal alignments."""
_POINT_RADIUS = 5


def place_labels(
    panel: "Axes", points: Sequence[tuple[float, float]], names: Sequence[str], color: str
) -> None:
    """Write each name near its point, at the first place where it covers no point and no name.

    A name for which there is no such place is written at the first one. All else of the figure
    must be there already: places are compared as they will be drawn.

    Args:
        panel: with the points.
        points: their places on the axes.
        names: one a point.
        color: of the names.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    assert isinstance(panel.figure, Figure)
    canvas = FigureCanvasAgg(panel.figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    centers = panel.transData.transform(points)
    taken = [
        Bbox.from_extents(
            x - _POINT_RADIUS, y - _POINT_RADIUS, x + _POINT_RADIUS, y + _POINT_RADIUS
        )
        for x, y in centers
    ]
    frame = panel.get_window_extent(renderer)
    for point, name in zip(points, names, strict=True):
        label = panel.annotate(
            name, point, _PLACES[0][0], textcoords="offset points", fontsize=8, color=color
        )
        label.set_in_layout(False)
        for offset, alignment in (*_PLACES, _PLACES[0]):
            label.set_position(offset)
            label.set_horizontalalignment(alignment)
            extent = label.get_window_extent(renderer)
            if _is_free(extent, taken, frame):
                break
        taken.append(extent)


def _is_free(extent: "Bbox", taken: Sequence["Bbox"], frame: "Bbox") -> bool:
    inside = frame.x0 <= extent.x0 and extent.x1 <= frame.x1
    return inside and not any(extent.overlaps(other) for other in taken)
