"""New items on their way in: the job that encodes them and gives them IDs, and what starts it.

The sensor starts it when item files have changed, the schedules by the clock; all three are off
until they are switched on. A run with nothing new encodes nothing and changes no artifact.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from tiger_pipeline.configuration.time_zone import schedule_time_zone
from tiger_pipeline.errors import TigerError
from tiger_pipeline.orchestration import jobs
from tiger_pipeline.orchestration.chained_runs import failure_of, run_asset_job
from tiger_pipeline.orchestration.partitions import DATASET_NAMES, VARIANT_NAMES
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource

DATASET_TAG = "tiger/new_items_of"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class NewItemsConfig(dg.Config):
    """Where new items are looked for."""

    dataset: str
    overrides: list[str] = []
    """`section.key=value` strings, such as `data.incoming.settle_seconds=0`."""


@dg.op
def add_to_dataset(
    context: dg.OpExecutionContext, config: NewItemsConfig, store: StoreResource
) -> None:
    """Encode a dataset's new texts, then give its new items IDs in every variant that has IDs."""
    job = jobs.add_items_to_catalog.name
    result = run_asset_job(context, job, config.dataset, config.overrides)
    if not result.success:
        raise failure_of(job, config.dataset, result)
    failed = []
    for variant in variants_with_ids(store, config.dataset):
        key = dg.MultiPartitionKey({"dataset": config.dataset, "variant": variant})
        job = jobs.add_items_to_variant.name
        result = run_asset_job(context, job, key, config.overrides)
        if not result.success:
            failed.append(failure_of(job, key, result))
    if failed:  # only now: one variant must not keep new items from the others
        raise failed[0]


@dg.job(executor_def=dg.in_process_executor)
def add_new_items() -> None:
    """Encode new items of a dataset and give them semantic IDs; nothing is trained."""
    add_to_dataset()


def variants_with_ids(store: StoreResource, dataset: str) -> list[str]:
    """Variants of a dataset that have semantic IDs, to which new items can be added."""
    finished = store.open().partitions("semantic_ids", dimensions=2)
    return [variant for variant in VARIANT_NAMES if (dataset, variant) in finished]


def _is_running(instance: dg.DagsterInstance, dataset: str) -> bool:
    """Whether a run that was requested for a dataset has not ended: two would do the same work."""
    filters = dg.RunsFilter(
        job_name=add_new_items.name, tags={DATASET_TAG: dataset}, statuses=_UNFINISHED
    )
    return bool(instance.get_runs(filters, limit=1))


def _request(dataset: str, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=run_key,
        run_config={"ops": {add_to_dataset.name: {"config": {"dataset": dataset}}}},
        tags={DATASET_TAG: dataset},
    )


@dg.sensor(
    job=add_new_items,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
)
def new_items_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: SettingsResource
) -> dg.SensorResult:
    """Start `add_new_items` for datasets whose items or incoming files have changed.

    Datasets count once a variant of theirs has semantic IDs. Files that are still being written
    wait for the next tick, and so does a dataset with an unfinished run.
    """
    seen: dict[str, dict] = json.loads(context.cursor or "{}")
    requests, reasons = [], []
    for dataset in DATASET_NAMES:
        if not variants_with_ids(store, dataset):
            continue
        last = seen.get(dataset, {"fingerprint": "", "requests": 0})
        try:
            state = _state(settings, dataset)
        except TigerError as error:
            reasons.append(f"{dataset}: {error}")
            continue
        if state.unsettled:
            reasons.append(f"{dataset}: {', '.join(state.unsettled)} may be half-written.")
        if state.fingerprint == last["fingerprint"] or not state.source_settled:
            continue
        if _is_running(context.instance, dataset):
            reasons.append(f"{dataset}: the run before is not finished.")
            continue
        # Counted, because files may come back to a state that they were in before.
        number = last["requests"] + 1
        seen[dataset] = {"fingerprint": state.fingerprint, "requests": number}
        requests.append(_request(dataset, f"{dataset}-{number}-{state.fingerprint}"))
    return dg.SensorResult(
        run_requests=requests,
        cursor=json.dumps(seen, sort_keys=True),
        skip_reason=None if requests else " ".join(reasons) or "No item file has changed.",
    )


def _state(settings: SettingsResource, dataset: str):
    from tiger_pipeline.catalog.source_state import source_state

    return source_state(settings.for_dataset(dataset).data, Path.cwd())


def _scheduled(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    time = context.scheduled_execution_time
    datasets = [
        dataset
        for dataset in DATASET_NAMES
        if variants_with_ids(store, dataset) and not _is_running(context.instance, dataset)
    ]
    for dataset in datasets:
        yield _request(dataset, f"{dataset}-{time.isoformat()}")
    if not datasets:
        yield dg.SkipReason("No dataset has semantic IDs and no unfinished run.")


@dg.schedule(
    job=add_new_items,
    cron_schedule="0 * * * *",
    execution_timezone=schedule_time_zone(),
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def new_items_hourly(context: dg.ScheduleEvaluationContext, store: StoreResource):
    """Start `add_new_items` for every dataset that has semantic IDs, every hour."""
    yield from _scheduled(context, store)


@dg.schedule(
    job=add_new_items,
    cron_schedule="0 3 * * *",
    execution_timezone=schedule_time_zone(),
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def new_items_daily(context: dg.ScheduleEvaluationContext, store: StoreResource):
    """Start `add_new_items` for every dataset that has semantic IDs, at three in the morning."""
    yield from _scheduled(context, store)
