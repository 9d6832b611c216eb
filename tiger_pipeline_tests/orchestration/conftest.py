"""The tiny encoder of the encoding tests, for assets that encode."""

from tiger_pipeline_tests.encoding.conftest import (  # noqa: F401
    sentence_transformer_folder,
    tiny_config,
)
