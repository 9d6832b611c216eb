import base64
import io
import sys

import matplotlib.image
import numpy as np
import pytest

from tiger_pipeline.evaluation import plots

_LONG_HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 9.0 / epoch + 0.1 * np.sin(epoch),
        "valid_ndcg@10": 0.05 * np.sin(epoch) ** 2 if epoch % 3 == 0 else None,
    }
    for epoch in range(1, 301)
]


def _quantizer_rows(epochs: int, levels: int, every: int) -> list[dict]:
    rows = []
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        evaluated = epoch % every == 0 or epoch == epochs
        rows.append(
            {
                "epoch": epoch,
                "reconstruction_loss": 1 / (1 + 5 * share),
                "codebook_loss": 0.2 * share,
                "perplexity": [200 + 50 * share - 5 * i for i in range(levels)],
                "utilization": [1 - 0.02 * i for i in range(levels)],
                "colliding_items": int(3000 - 1000 * share),
            }
        )
        if not evaluated:
            rows[-1].update(perplexity=None, utilization=None, colliding_items=None)
    return rows


_MANY_MODELS = {f"rqvae_rotation_no_kmeans_init_{i}": 0.07 / (i + 1) for i in range(20)}
_COUNTS = np.random.default_rng(0).integers(0, 400, size=(8, 1024)).tolist()

PICTURES = {
    "training, long": lambda: plots.training_curves(_LONG_HISTORY, 150),
    "training, one epoch, never validated": lambda: plots.training_curves(
        [{"epoch": 1, "train_loss": 2.0, "valid_ndcg@10": None}], None
    ),
    "quantizer, long": lambda: plots.quantizer_curves(_quantizer_rows(1000, 3, 10), 900),
    "quantizer, one epoch, eight levels": lambda: plots.quantizer_curves(
        _quantizer_rows(1, 8, 10), 1
    ),
    "accuracy, many models": lambda: plots.accuracy_bars(
        {"HR@10": _MANY_MODELS, "NDCG@10": _MANY_MODELS}, ["x"], "test"
    ),
    "accuracy, nothing hit": lambda: plots.accuracy_bars(
        {"HR@10": {"a": 0.0, "b": None}}, [], "test"
    ),
    "code use, eight levels": lambda: plots.code_use(_COUNTS, [900.0] * 8),
    "code use, one codeword": lambda: plots.code_use([[12]], [None]),
    "collisions": lambda: plots.collision_groups({1: 9000, 2: 500, 7: 1}),
    "collisions, many sizes": lambda: plots.collision_groups({s: 61 - s for s in range(1, 60)}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_is_a_png_that_fits_into_metadata(name):
    png = PICTURES[name]()
    height, width, _ = matplotlib.image.imread(io.BytesIO(png), format="png").shape
    assert width == 1140
    assert height > 100
    assert len(plots.picture_markdown(png, name)) < 100_000


def test_equal_data_gives_equal_bytes():
    assert PICTURES["collisions"]() == PICTURES["collisions"]()


def test_drawing_leaves_pyplot_alone():
    PICTURES["collisions"]()
    assert "matplotlib.pyplot" not in sys.modules


def test_markdown_holds_the_picture_and_no_stray_bracket():
    markdown = plots.picture_markdown(b"png", "curves [x]")
    prefix = "![curves (x)](data:image/png;base64,"
    assert markdown.startswith(prefix)
    assert base64.b64decode(markdown.removeprefix(prefix).removesuffix(")")) == b"png"
