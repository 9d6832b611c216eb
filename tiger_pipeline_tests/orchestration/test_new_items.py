"""What starts `add_new_items`, on real instances, and what new items make stale."""

import os
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest

from tiger_pipeline.configuration.time_zone import schedule_time_zone
from tiger_pipeline.definitions import defs
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.orchestration import new_items
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source for the preset `demo`, and a store in which its variant `random` has IDs."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("items.tsv", "interactions.tsv"):
        (source / name).write_text("")
        os.utime(source / name, (0, 0))
    ids = tmp_path / "store" / "semantic_ids" / "demo" / "random.parquet"
    ids.parent.mkdir(parents=True)
    ids.touch()
    return tmp_path


def test_variants_with_ids_are_found_in_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = StoreResource(root="memory://new-items")
    for cache, variants in (("here", ["random"]), ("there", ["random", "t5"])):
        monkeypatch.setenv("TIGER_CACHE", str(tmp_path / cache))
        artifacts = store.open()
        ids = artifacts.table("semantic_ids", "demo", variants[-1])
        ids.parent.mkdir(parents=True)
        ids.touch()
        artifacts.publish(ids)
        assert set(new_items.variants_with_ids(store, "demo")) == set(variants)
        assert new_items.variants_with_ids(store, "beauty") == []


def drop(folder: Path, name: str, settled: bool = True) -> None:
    path = folder / "source" / "incoming" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(name)
    if settled:
        os.utime(path, (1, 1))


def resources(folder: Path) -> dict:
    return {
        "store": StoreResource(root=str(folder / "store")),
        "settings": SettingsResource(overrides=[f"data.source.path={folder / 'source'}"]),
    }


def tick(folder: Path, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, resources=resources(folder)
    ) as context:
        result = new_items.new_items_sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_the_sensor_asks_once_for_each_state(folder: Path, instance: dg.DagsterInstance):
    first = tick(folder, instance)
    (request,) = first.run_requests
    assert request.run_config == {"ops": {"add_to_dataset": {"config": {"dataset": "demo"}}}}
    dg.validate_run_config(new_items.add_new_items, request.run_config)
    again = tick(folder, instance, first.cursor)
    assert again.run_requests == []
    assert "No item file has changed" in str(again.skip_reason)

    drop(folder, "a.tsv")
    drop(folder, "b.tsv")
    both = tick(folder, instance, again.cursor)
    assert len(both.run_requests) == 1
    assert tick(folder, instance, both.cursor).run_requests == []


def test_a_state_that_comes_back_is_a_new_request(folder: Path, instance: dg.DagsterInstance):
    """Dagster starts no second run for a run key that it has seen."""
    first = tick(folder, instance)
    drop(folder, "a.tsv")
    second = tick(folder, instance, first.cursor)
    (folder / "source" / "incoming" / "a.tsv").unlink()
    third = tick(folder, instance, second.cursor)
    keys = {result.run_requests[0].run_key for result in (first, second, third)}
    assert len(keys) == 3


def test_a_half_written_file_waits(folder: Path, instance: dg.DagsterInstance):
    first = tick(folder, instance)
    drop(folder, "a.tsv", settled=False)
    drop(folder, ".b.tsv")
    waiting = tick(folder, instance, first.cursor)
    assert waiting.run_requests == []
    assert "a.tsv may be half-written" in str(waiting.skip_reason)
    drop(folder, "a.tsv")
    assert len(tick(folder, instance, waiting.cursor).run_requests) == 1


def test_a_source_that_is_being_written_waits(folder: Path, instance: dg.DagsterInstance):
    (folder / "source" / "interactions.tsv").write_text("half")
    assert tick(folder, instance).run_requests == []


def test_an_unfinished_run_is_waited_for(folder: Path, instance: dg.DagsterInstance):
    run = instance.create_run_for_job(
        new_items.add_new_items,
        run_config={"ops": {"add_to_dataset": {"config": {"dataset": "demo"}}}},
        tags={new_items.DATASET_TAG: "demo"},
        status=dg.DagsterRunStatus.STARTED,
    )
    waiting = tick(folder, instance)
    assert waiting.run_requests == []
    assert "not finished" in str(waiting.skip_reason)
    assert scheduled(folder, instance)[0] == "skip"
    instance.report_run_failed(run)
    assert len(tick(folder, instance, waiting.cursor).run_requests) == 1


def test_without_semantic_ids_nothing_is_asked_for(folder: Path, instance: dg.DagsterInstance):
    (folder / "store" / "semantic_ids" / "demo" / "random.parquet").unlink()
    assert tick(folder, instance).run_requests == []
    assert scheduled(folder, instance)[0] == "skip"


def test_a_dataset_that_cannot_be_read_is_reported(folder: Path, instance: dg.DagsterInstance):
    (folder / "source" / "items.tsv").unlink()
    result = tick(folder, instance)
    assert result.run_requests == []
    assert "holds no items file" in str(result.skip_reason)


def scheduled(folder: Path, instance: dg.DagsterInstance) -> list[str]:
    with dg.build_schedule_context(
        instance=instance,
        resources=resources(folder),
        scheduled_execution_time=datetime(2026, 3, 1, 3, tzinfo=timezone.utc),
    ) as context:
        return [
            str(each.run_key) if isinstance(each, dg.RunRequest) else "skip"
            for each in new_items.new_items_daily(context)
        ]


def test_the_schedules_ask_by_the_clock(folder: Path, instance: dg.DagsterInstance):
    assert scheduled(folder, instance) == ["demo-2026-03-01T03:00:00+00:00"]
    assert new_items.new_items_hourly.cron_schedule == "0 * * * *"
    assert new_items.new_items_daily.cron_schedule == "0 3 * * *"


def test_all_are_off_at_first():
    stopped = dg.DefaultSensorStatus.STOPPED
    assert [sensor.default_status for sensor in defs.sensors or []] == [stopped]
    for schedule in (new_items.new_items_hourly, new_items.new_items_daily):
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


def test_the_time_zone_is_a_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TIGER_TIMEZONE", raising=False)
    assert schedule_time_zone() == "UTC"
    monkeypatch.setenv("TIGER_TIMEZONE", "Europe/Berlin")
    assert schedule_time_zone() == "Europe/Berlin"
    monkeypatch.setenv("TIGER_TIMEZONE", "Mars/Olympus")
    with pytest.raises(ConfigurationError, match="'Mars/Olympus'"):
        schedule_time_zone()
