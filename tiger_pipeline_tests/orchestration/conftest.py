"""What several tests of this folder need: the tiny encoder of the encoding tests, an instance."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tiger_pipeline_tests.encoding.conftest import (  # noqa: F401
    sentence_transformer_folder,
    tiny_config,
)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Keeps its records in a folder, which other processes can read."""
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance
