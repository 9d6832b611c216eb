"""Runs whose processes were killed are told from living ones, and cleared away."""

import logging
import time
from pathlib import Path

import dagster as dg
import pytest

from tiger_pipeline.orchestration import lost_runs
from tiger_pipeline.orchestration.lost_runs import attended, clear_lost_runs, locks_of
from tiger_pipeline.orchestration.resources import StoreResource
from tiger_pipeline_tests.storage.killed_holder import holder, leave_lock

LOG = logging.getLogger(__name__)
POOL = "gpu"
Status = dg.DagsterRunStatus


def add_run(instance: dg.DagsterInstance, status: Status = Status.STARTED) -> str:
    run_id = dg._core.utils.make_new_run_id()
    return instance.add_run(dg.DagsterRun("a_job", run_id=run_id, status=status)).run_id


def add_lost_run(instance: dg.DagsterInstance, status: Status = Status.STARTED) -> str:
    run_id = add_run(instance, status)
    leave_lock(locks_of(instance), run_id)
    return run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> Status:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def claims_a_place(instance: dg.DagsterInstance, run_id: str) -> bool:
    return instance.event_log_storage.claim_concurrency_slot(POOL, run_id, "step").is_claimed


@pytest.fixture
def pool(instance: dg.DagsterInstance) -> None:
    """A pool with one place."""
    instance.event_log_storage.set_concurrency_slots(POOL, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.STARTED, Status.FAILURE),
        (Status.CANCELING, Status.CANCELED),
        (Status.SUCCESS, Status.SUCCESS),
        (Status.CANCELED, Status.CANCELED),
    ],
)
def test_a_lost_run_is_marked(instance: dg.DagsterInstance, before: Status, after: Status):
    run_id = add_lost_run(instance, before)
    clear_lost_runs(instance, LOG)
    assert status_of(instance, run_id) == after
    assert locks_of(instance).is_held(run_id) is None


@pytest.mark.parametrize("alive", [True, None])
def test_a_run_that_is_not_known_to_be_lost_is_left_alone(instance, pool, alive: bool | None):
    run_id = add_run(instance)
    assert claims_a_place(instance, run_id)
    if alive:
        with holder(locks_of(instance), run_id):
            clear_lost_runs(instance, LOG)
    else:
        clear_lost_runs(instance, LOG)
    assert status_of(instance, run_id) == Status.STARTED
    assert not claims_a_place(instance, add_run(instance))


def test_places_go_to_living_runs_past_lost_ones_that_waited(instance: dg.DagsterInstance, pool):
    has_it, waited = add_lost_run(instance), add_lost_run(instance)
    alive = add_run(instance)
    assert claims_a_place(instance, has_it)
    assert not claims_a_place(instance, waited)
    assert not claims_a_place(instance, alive)
    clear_lost_runs(instance, LOG)
    assert claims_a_place(instance, alive)


def test_the_log_names_the_lost_run(instance: dg.DagsterInstance, caplog):
    run_id = add_lost_run(instance)
    with caplog.at_level(logging.INFO):
        clear_lost_runs(instance, LOG)
        clear_lost_runs(instance, LOG)
    (message,) = (record.message for record in caplog.records if record.name == LOG.name)
    assert message.startswith(f"Run {run_id} was lost")


def test_a_run_that_is_killed_later_is_noticed_too(instance: dg.DagsterInstance, monkeypatch):
    monkeypatch.setattr(lost_runs, "_EVERY_SECONDS", 0.05)
    run_id = add_run(instance)
    with attended(instance, add_run(instance), LOG):
        with holder(locks_of(instance), run_id):
            time.sleep(0.2)
            assert status_of(instance, run_id) == Status.STARTED
        deadline = time.monotonic() + 30
        while status_of(instance, run_id) != Status.FAILURE:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_an_attended_run_counts_as_alive_until_it_ends(instance: dg.DagsterInstance):
    run_id = add_run(instance)
    with attended(instance, run_id, LOG):
        assert locks_of(instance).is_held(run_id) is True
    assert locks_of(instance).is_held(run_id) is None


def test_a_lost_run_that_cannot_be_marked_harms_no_other(instance, monkeypatch, caplog):
    run_id = add_lost_run(instance)

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(instance, "report_run_failed", fail)
        clear_lost_runs(instance, LOG)
    assert "the disk is full" in caplog.text
    clear_lost_runs(instance, LOG)
    assert status_of(instance, run_id) == Status.FAILURE


def test_a_step_in_a_process_of_its_own_keeps_its_run_alive(instance, tmp_path: Path):
    """The executor is Dagster's own here, so only the step's resource can hold the run."""
    seen = []

    @dg.asset
    def looks_at_itself(context: dg.AssetExecutionContext, store: StoreResource) -> None:
        seen.append(locks_of(context.instance).is_held(context.run.run_id))

    resources = {"store": StoreResource(root=str(tmp_path / "store"))}
    done = dg.materialize([looks_at_itself], instance=instance, resources=resources)
    assert seen == [True]
    assert locks_of(instance).is_held(done.run_id) is None
