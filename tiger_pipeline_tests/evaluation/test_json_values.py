import json
from pathlib import Path

import numpy as np
import pytest

from tiger_pipeline.evaluation.json_values import json_ready


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (float("nan"), None),
        (np.float64("inf"), None),
        ({3: (1, None)}, {"3": [1, None]}),
        (np.bool_(True), True),
        (Path("a"), "a"),
    ],
)
def test_becomes_json(value, expected):
    assert json_ready(value) == expected
    assert json.loads(json.dumps(json_ready(value), allow_nan=False)) == expected
