import numpy as np
import pytest

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization.opq_rotation import fit_opq_rotation
from tiger_pipeline_tests.quantization.synthetic import blobs

VECTORS = blobs(400, 8, centers=9, seed=0)


def test_it_is_a_rotation_and_the_same_every_time():
    rotation = fit_opq_rotation(VECTORS, 2)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(8), atol=1e-5)
    np.testing.assert_array_equal(fit_opq_rotation(VECTORS, 2), rotation)


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigurationError, match="8 and there are 3 levels"):
        fit_opq_rotation(VECTORS, 3)
    with pytest.raises(ConfigurationError, match="at least 256 items; there are 255"):
        fit_opq_rotation(VECTORS[:255], 2)
