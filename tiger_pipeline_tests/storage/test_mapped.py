import gc
import os

import numpy as np
import pytest

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage import mapped
from tiger_pipeline.storage.mapped import mapped_matrix, release_read_pages, vector_blocks

VECTORS = np.random.default_rng(0).standard_normal((50, 6), dtype=np.float32)


def blocks_of(vectors: np.ndarray, rows: int):
    return (vectors[start : start + rows] for start in range(0, len(vectors), rows))


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_a_mapped_matrix_holds_what_was_written(rows):
    matrix = mapped_matrix(blocks_of(VECTORS, rows), 50, 6)
    np.testing.assert_array_equal(matrix, VECTORS)
    assert not matrix.flags.writeable


def test_nothing_is_lost_with_the_pages():
    matrix = mapped_matrix(blocks_of(VECTORS, 7), 50, 6)
    assert matrix[3, 3] == VECTORS[3, 3]
    release_read_pages()
    np.testing.assert_array_equal(matrix, VECTORS)


def test_the_scratch_file_has_no_name_and_goes_with_the_matrix(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(mapped.tempfile, "tempdir", None)
    matrix = mapped_matrix(blocks_of(VECTORS, 7), 50, 6)
    assert not list(tmp_path.iterdir())
    assert mapping_of(tmp_path)
    del matrix
    gc.collect()
    assert not mapping_of(tmp_path)


def mapping_of(folder) -> list[str]:
    with open("/proc/self/maps") as maps:
        return [line for line in maps if str(folder) in line]


def test_a_full_disk_is_explained(monkeypatch):
    class FullDisk:
        def __enter__(self):
            return self

        def __exit__(self, *reason):
            return None

        def write(self, data):
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(mapped.tempfile, "TemporaryFile", lambda **options: FullDisk())
    with pytest.raises(ArtifactError, match=r"No space left on device.*TMPDIR"):
        mapped_matrix([VECTORS], 50, 6)


@pytest.mark.parametrize("n_rows", [0, 1, mapped.ROWS_PER_BLOCK, 2 * mapped.ROWS_PER_BLOCK + 3])
def test_blocks_cover_every_row_once(n_rows):
    vectors = np.arange(n_rows, dtype=np.float32)[:, None]
    seen = list(vector_blocks(vectors))
    assert all(np.array_equal(vectors[rows], block) for rows, block in seen)
    assert [row for rows, _ in seen for row in range(rows.start, rows.stop)] == list(range(n_rows))
