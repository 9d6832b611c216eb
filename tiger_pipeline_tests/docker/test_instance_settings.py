"""docker/dagster.yaml and docker/workspace.yaml are what Dagster understands."""

import re
from pathlib import Path

import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.load import location_origins_from_yaml_paths

from tiger_pipeline.orchestration.run_launcher import CodeServerRunLauncher

CHECKOUT = Path(__file__).parents[2]
DOCKER = CHECKOUT / "docker"
VARIABLES = {"POSTGRES_PORT": "5433", "TIGER_CODE_PORT": "4001"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dagster.yaml", "workspace.yaml"):
        for variable in re.findall(r"env: (\w+)", (DOCKER / name).read_text()):
            monkeypatch.setenv(variable, VARIABLES.get(variable, "some_value"))


def test_the_instance_settings_are_valid_and_use_postgres():
    pytest.importorskip("dagster_postgres")
    reference = InstanceRef.from_dir(str(DOCKER))  # checks the file against Dagster's schema
    assert reference.storage_data is not None
    assert reference.storage_data.class_name == "DagsterPostgresStorage"
    database = yaml.safe_load(reference.storage_data.config_yaml)["postgres_db"]
    assert database["scheme"] == "postgresql+psycopg2"
    assert database["password"] == {"env": "POSTGRES_PASSWORD"}  # no secret in what is passed on
    assert isinstance(reference.run_launcher, CodeServerRunLauncher)


def test_the_workspace_is_the_code_server():
    (origin,) = location_origins_from_yaml_paths([str(DOCKER / "workspace.yaml")])
    assert (origin.host, origin.port) == ("some_value", 4001)
    assert origin.location_name == "tiger_pipeline.definitions"


def test_the_local_instance_and_this_one_differ_only_where_they_must():
    local = yaml.safe_load((CHECKOUT / "dagster_home" / "dagster.yaml").read_text())
    shipped = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    for name in ("telemetry", "nux"):
        assert shipped[name] == local[name] == {"enabled": False}
    assert shipped["concurrency"]["pools"] == local["concurrency"]["pools"]
    assert shipped["run_launcher"] == local["run_launcher"]
    for name in ("poll_interval_seconds", "free_slots_after_run_end_seconds"):
        assert shipped["run_monitoring"][name] == local["run_monitoring"][name]
    retries = shipped["run_retries"]
    assert retries["enabled"]
    assert retries["retry_on_asset_or_op_failure"] is False
