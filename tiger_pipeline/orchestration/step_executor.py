"""Where the steps of a run execute: in processes beside it, or each in a Kubernetes pod."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.orchestration.attended_executor import attended_executor

_VARIABLE = "TIGER_EXECUTOR"
_GPU_POOL = "gpu"
_ON_A_GPU: dict[str, Any] = {
    "container_config": {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
    "pod_spec_config": {
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    },
}
"""No node label is needed: only nodes that have a GPU left can take such a pod."""


def step_executor(assets: Sequence[object]) -> dg.ExecutorDefinition:
    """The executor that the variable `TIGER_EXECUTOR` asks for; unset, processes of this machine.

    With `kubernetes` (it needs `dagster-k8s`) every step gets a pod, configured like that of its
    run, and the steps of assets in the pool `gpu` ask for one GPU. So the other steps, and the run
    while it waits for them, take none.

    Args:
        assets: all assets of the code location.

    Raises:
        ConfigurationError: the variable has another value, or `dagster-k8s` is missing.
    """
    asked = os.environ.get(_VARIABLE, "")
    if not asked:
        return attended_executor
    if asked != "kubernetes":
        raise ConfigurationError(
            f"The variable {_VARIABLE} is {asked!r}. Set it to 'kubernetes', or unset it to run "
            "steps in processes."
        )
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise ConfigurationError(
            f"{_VARIABLE}=kubernetes needs dagster-k8s: pip install 'tiger-pipeline[kubernetes]'."
        ) from error
    per_step = dict.fromkeys(_steps_in_gpu_pool(assets), _ON_A_GPU)
    return k8s_job_executor.configured({"per_step_k8s_config": per_step}, name="kubernetes_pods")


def _steps_in_gpu_pool(assets: Sequence[object]) -> Iterable[str]:
    for asset in assets:
        if isinstance(asset, dg.AssetsDefinition) and asset.op.pool == _GPU_POOL:
            yield asset.op.name
