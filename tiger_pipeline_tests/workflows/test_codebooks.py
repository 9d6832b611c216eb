from pathlib import Path

from tiger_pipeline.quantization.config import RandomConfig, ResidualKMeansConfig
from tiger_pipeline.workflows.codebooks import fetch_initial_codebooks
from tiger_pipeline_tests.storage.remotes import OLD, Bucket, machine, operations, read, write


def test_codebooks_to_start_from_are_fetched_if_they_are_an_artifact(tmp_path: Path):
    bucket: Bucket = {}
    here, there = machine(tmp_path / "here", bucket), machine(tmp_path / "there", bucket)
    write(here.directory("codebooks", "demo", "plain"), OLD)
    here.publish(here.directory("codebooks", "demo", "plain"))

    start = there.directory("codebooks", "demo", "plain") / "model.safetensors"
    fetch_initial_codebooks(there, ResidualKMeansConfig(initial_codebooks=str(start)))
    assert read(start) == OLD["model.safetensors"]


def test_other_quantizers_need_nothing(tmp_path: Path):
    store = machine(tmp_path / "here", {})
    elsewhere = str(tmp_path / "elsewhere" / "model.safetensors")
    for config in (
        RandomConfig(),
        ResidualKMeansConfig(),
        ResidualKMeansConfig(initial_codebooks=elsewhere),
    ):
        fetch_initial_codebooks(store, config)
    assert operations(store) == 0
