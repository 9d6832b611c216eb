"""The memory of an assignment does not grow with the number of vectors, where they are mapped."""

import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
import numpy as np
from tiger_pipeline.quantization.config import ResidualKMeansConfig
from tiger_pipeline.quantization.residual_kmeans import ResidualKMeans
from tiger_pipeline.storage.mapped import mapped_matrix

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))

draw = np.random.default_rng(0)
blocks = (draw.standard_normal((10_000, 64), dtype=np.float32) for _ in range(80))
vectors = mapped_matrix(blocks, 800_000, 64)
codebooks = tuple(draw.standard_normal((16, 64), dtype=np.float32) for _ in range(3))
quantizer = ResidualKMeans(ResidualKMeansConfig(codewords=16), codebooks)
quantizer.assign(vectors[:20_000])
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
codes = quantizer.assign(vectors)
print(vectors.nbytes, codes.nbytes, resident("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_the_peak_is_far_below_the_vectors():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    vectors, codes, growth = map(int, done.stdout.split())
    assert growth < codes + vectors // 4
