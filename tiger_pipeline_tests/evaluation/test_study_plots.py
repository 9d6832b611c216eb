import io

import matplotlib.image
import numpy as np

from tiger_pipeline.evaluation import study_plots
from tiger_pipeline.evaluation.study_plots import (
    labeled_scatter,
    sweep_curves,
    validation_curves,
)

MOST_BYTES = 100_000


def pixels(png: bytes) -> np.ndarray:
    assert len(png) < MOST_BYTES
    picture = matplotlib.image.imread(io.BytesIO(png), format="png")
    return np.rint(picture[..., :3] * 255).astype(int).reshape(-1, 3)


def has_color(picture: np.ndarray, color: str) -> bool:
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(picture - wanted).max(axis=1) <= 6).any())


def test_every_run_has_a_color_that_stays_apart():
    history = [{"epoch": e, "train_loss": 3 / e, "valid_ndcg@10": None} for e in range(1, 30)]
    histories = {
        f"run {i}": [{**row, "train_loss": row["train_loss"] + i} for row in history]
        for i in range(9)
    }
    picture = pixels(validation_curves(histories))
    assert all(has_color(picture, color) for color in study_plots._COLORS)


def test_points_with_and_without_whiskers_are_drawn():
    points = {"a": (100.0, 0.02, 0.001), "b": (100.0, 0.02, None), "c": (50.0, 0.01, None)}
    png = labeled_scatter(points, "Title", "x", "y")
    assert has_color(pixels(png), study_plots.BLUE)
    assert has_color(pixels(png), study_plots.GRAY)


def test_every_line_of_a_sweep_is_drawn_and_unknown_points_are_left_out():
    lines = {"valid": [0.1, None, 0.2], "test": [0.1, 0.15, 0.18]}
    picture = pixels(sweep_curves([0.05, 0.5, 2], {"N": lines, "P": {"x": [1, 2, 3]}}, "T", "w"))
    assert has_color(picture, study_plots.BLUE)
    assert has_color(picture, study_plots.ORANGE)
