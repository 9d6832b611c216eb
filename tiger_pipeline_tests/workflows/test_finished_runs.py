from pathlib import Path

from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.workflows.finished_runs import report_folders
from tiger_pipeline_tests.storage.remotes import NEW, OLD, Bucket, machine, read, write

VARIANTS = ["random", "plain", "never_run"]


def test_finished_variants_of_the_dataset_are_found_in_order(tmp_path: Path):
    store = ArtifactStore(tmp_path)
    for partition in (("demo", "plain"), ("demo", "random"), ("demo", "other"), ("shop", "random")):
        write(store.directory("metrics", *partition), OLD)
    found = report_folders(store, "demo", VARIANTS)
    assert list(found) == ["random", "plain"]
    assert found["plain"] == tmp_path / "metrics" / "demo" / "plain"


def test_reports_of_other_machines_are_fetched(tmp_path: Path):
    bucket: Bucket = {}
    for name, content in (("plain", OLD), ("random", NEW)):
        store = machine(tmp_path / name, bucket)
        write(store.directory("metrics", "demo", name), content)
        store.publish(store.directory("metrics", "demo", name))
    found = report_folders(machine(tmp_path / "reader", bucket), "demo", VARIANTS)
    assert {name: read(folder) for name, folder in found.items()} == {"plain": OLD, "random": NEW}
