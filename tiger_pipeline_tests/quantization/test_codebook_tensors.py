import numpy as np
import pytest

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.quantization.codebook_tensors import (
    name_codebooks,
    read_codebooks,
    read_residual_codebooks,
)

CODEBOOKS = (np.zeros((4, 3), np.float32), np.ones((4, 2), np.float32))


def test_codebooks_survive_naming():
    for before, after in zip(
        CODEBOOKS, read_codebooks(name_codebooks(CODEBOOKS), 2, 4), strict=True
    ):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("read", "levels", "codewords", "level"),
    [(read_codebooks, 3, 4, 2), (read_codebooks, 2, 5, 0), (read_residual_codebooks, 2, 4, 1)],
)
def test_what_does_not_fit_is_named(read, levels, codewords, level):
    with pytest.raises(ArtifactError, match=f"codebook of level {level} is missing or"):
        read(name_codebooks(CODEBOOKS), levels, codewords)
