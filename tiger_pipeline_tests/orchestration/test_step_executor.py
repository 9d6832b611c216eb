"""Steps in Kubernetes pods: their manifests are made as Dagster makes them, without a cluster."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.orchestration.assets.catalog import item_texts
from tiger_pipeline.orchestration.assets.quantization import codebooks
from tiger_pipeline.orchestration.step_executor import step_executor

ASSETS = [codebooks, item_texts]
VALUES = Path(__file__).parents[2] / "docker" / "kubernetes" / "values.yaml"


@pytest.mark.parametrize(
    "config", [{}, {"in_process": {}}, {"multiprocess": {"max_concurrent": 2}}]
)
def test_processes_of_this_machine_unless_asked(monkeypatch, config: dict[str, Any]):
    monkeypatch.delenv("TIGER_EXECUTOR", raising=False)
    ours = step_executor(ASSETS)
    given = {"config": config} if config else {}
    theirs = dg.multi_or_in_process_executor.apply_config_mapping(given)
    assert ours.apply_config_mapping(given).value == theirs.value
    assert ours.get_requirements(config) == dg.multi_or_in_process_executor.get_requirements(config)


def test_an_unknown_executor_is_refused(monkeypatch):
    monkeypatch.setenv("TIGER_EXECUTOR", "celery")
    with pytest.raises(ConfigurationError, match="TIGER_EXECUTOR is 'celery'"):
        step_executor(ASSETS)


@pytest.fixture
def gpu_steps(monkeypatch) -> dict[str, Any]:
    """What each step's pod gets beyond what its run's pod has."""
    pytest.importorskip("dagster_k8s")
    monkeypatch.setenv("TIGER_EXECUTOR", "kubernetes")
    config = step_executor(ASSETS).apply_config_mapping({"config": {}})
    assert config.success, config.errors
    return config.value["config"]["per_step_k8s_config"]


def run_config_of(values: dict[str, Any]) -> dict[str, Any]:
    """The run launcher's section of the values, renamed as the chart renames it."""
    section = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    names = {
        "containerConfig": "container_config",
        "podSpecConfig": "pod_spec_config",
        "jobSpecConfig": "job_spec_config",
    }
    return {names[name]: given for name, given in section.items()}


def manifest(*layers: dict[str, Any]) -> dict[str, Any]:
    """The Kubernetes job that Dagster makes of configurations, the later ones on top."""
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import (
        DagsterK8sJobConfig,
        UserDefinedDagsterK8sConfig,
        construct_dagster_k8s_job,
    )
    from kubernetes.client import ApiClient

    context = K8sContainerContext()
    for layer in layers:
        given = UserDefinedDagsterK8sConfig.from_dict(layer)
        context = context.merge(K8sContainerContext(run_k8s_config=given))
    image = DagsterK8sJobConfig(job_image="image:1", dagster_home="/home")
    job = construct_dagster_k8s_job(image, ["dagster"], "step", context.run_k8s_config)
    return ApiClient().sanitize_for_serialization(job)["spec"]["template"]["spec"]


def test_only_steps_in_the_gpu_pool_ask_for_a_gpu(gpu_steps):
    assert list(gpu_steps) == ["codebooks"]
    pod = manifest(gpu_steps["codebooks"])
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_the_pods_of_the_values_file_are_pods(gpu_steps):
    values = yaml.safe_load(VALUES.read_text())
    of_run = run_config_of(values)
    run, step = manifest(of_run), manifest(of_run, gpu_steps["codebooks"])
    for pod in (run, step):
        mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert {"scratch", "data"} <= mounted & {volume["name"] for volume in pod["volumes"]}
    assert "nvidia.com/gpu" not in run["containers"][0]["resources"]["limits"]
    limits = step["containers"][0]["resources"]["limits"]
    assert limits == {"memory": "16Gi", "nvidia.com/gpu": "1"}


def test_scratch_files_go_to_the_volume_of_the_values_file():
    values = yaml.safe_load(VALUES.read_text())
    variables = values["dagster-user-deployments"]["deployments"][0]["env"]
    mounts = run_config_of(values)["container_config"]["volumeMounts"]
    assert variables["TMPDIR"] in [mount["mountPath"] for mount in mounts]
    assert variables["TIGER_EXECUTOR"] == "kubernetes"


def test_dagster_accepts_the_instance_that_the_chart_writes(tmp_path):
    from dagster._core.instance.config import dagster_instance_config

    values = yaml.safe_load(VALUES.read_text())
    monitoring = values["dagsterDaemon"]["runMonitoring"]
    limits = values["concurrency"]
    written = {
        **values["additionalInstanceConfig"],
        "concurrency": {
            "runs": {"max_concurrent_runs": limits["runs"]["maxConcurrentRuns"]},
            "pools": {"default_limit": limits["pools"]["defaultLimit"]},
        },
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {},
        },
        "run_monitoring": {_snake_case(name): value for name, value in monitoring.items()},
        "telemetry": values["telemetry"],
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written))
    accepted, _ = dagster_instance_config(str(tmp_path))
    assert accepted["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert accepted["concurrency"]["pools"]["default_limit"] == 4


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
