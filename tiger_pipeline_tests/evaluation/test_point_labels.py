import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tiger_pipeline.evaluation.point_labels import place_labels


def extents(points: list[tuple[float, float]], names: list[str]) -> list:
    figure = Figure(figsize=(7, 4), layout="constrained")
    panel = figure.subplots()
    panel.scatter(*zip(*points, strict=True))
    panel.margins(0.2)
    place_labels(panel, points, names, "black")
    renderer = FigureCanvasAgg(figure).get_renderer()
    assert [text.get_text() for text in panel.texts] == names
    frame = panel.get_window_extent(renderer)
    found = [text.get_window_extent(renderer) for text in panel.texts]
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in found)
    return found


@pytest.mark.parametrize(
    "points",
    [
        [(0.0, 0.0), (1.0, 1.0)],
        [(172.0, 0.0207), (171.0, 0.0192), (130.0, 0.0185), (239.0, 0.0199), (230.0, 0.0196)],
        [(1.0, 1.0), (1.001, 1.0), (1.002, 1.0), (9.0, 2.0)],
    ],
)
def test_names_of_neighbors_do_not_cover_each_other(points: list[tuple[float, float]]):
    found = extents(points, [f"quite_a_long_name_{index}" for index in range(len(points))])
    for index, box in enumerate(found):
        assert not any(box.overlaps(other) for other in found[:index])


def test_a_name_is_written_even_where_there_is_no_room():
    points = [(1.0, 1.0)] * 30 + [(2.0, 2.0)]
    extents(points, [f"name {index}" for index in range(31)])
