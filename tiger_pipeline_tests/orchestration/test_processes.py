"""Assets whose work is done by processes of their own, on real instances, through Dagster Pipes."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from tiger_pipeline.definitions import defs
from tiger_pipeline.encoding.embed import embed_item_texts
from tiger_pipeline.encoding.embedding_table import vectors_of
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.orchestration import assets
from tiger_pipeline.orchestration.io_managers import ParquetIOManager
from tiger_pipeline.orchestration.processes import PROCESSES_VARIABLE, ProcessesResource
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.storage.store import ArtifactStore
from tiger_pipeline.storage.tables import read_table, write_table
from tiger_pipeline_tests.encoding.conftest import some_texts, texts_table
from tiger_pipeline_tests.workflows.served_store import (
    N_ITEMS,
    SEQUENCES,
    embeddings,
    interactions_of,
)

ASSETS = dg.load_assets_from_package_module(assets)
VARIANT = dg.MultiPartitionKey({"dataset": "demo", "variant": "random"})
OVERRIDES = [
    "model.generator={kind: decoder, blocks: 1, width: 16, heads: 2, dropout: 0.0}",
    "training.max_epochs=2",
    "training.validate_every=1",
    "training.tokens_per_batch=64",
    "training.learning_rate=0.01",
    "evaluation.beams=20",
]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """What is above `codebooks` in the dataset `demo`: made-up users and embeddings."""
    store = ArtifactStore(tmp_path / "store")
    warm = embeddings().slice(0, N_ITEMS)
    warm = warm.append_column("text_hash", warm["item_id"])
    write_table(store.table("warm_item_embeddings", "demo"), warm)
    write_table(store.table("interactions", "demo"), interactions_of(SEQUENCES))
    return store


def materialize(
    store: ArtifactStore,
    instance: dg.DagsterInstance,
    selection: list[str],
    partition: str = VARIANT,
    processes: str = "",
    overrides: list[str] = OVERRIDES,
    **run_config: Any,
) -> dg.ExecuteInProcessResult:
    stored = StoreResource(root=str(store.root))
    return dg.materialize(
        ASSETS,
        selection=selection,
        partition_key=partition,
        instance=instance,
        resources={
            "store": stored,
            "settings": SettingsResource(overrides=overrides),
            "processes": ProcessesResource(count=processes),
            "tables": ParquetIOManager(store=stored),
        },
        run_config=run_config,
        raise_on_error=False,
    )


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def losses(store: ArtifactStore) -> list[float]:
    history = store.directory("generator", "demo", "random") / "history.json"
    return [row["train_loss"] for row in json.loads(history.read_text())]


@pytest.mark.slow
def test_a_generator_is_trained_by_two_processes(
    store: ArtifactStore, instance: dg.DagsterInstance
) -> None:
    assert materialize(store, instance, ["baseline_metrics"], "demo").success
    before = ["codebooks", "semantic_ids", "generator"]
    assert materialize(store, instance, before).success
    in_step = losses(store)

    retrain = {"generator": {"config": {"retrain": True}}}
    result = materialize(store, instance, ["generator", "metrics"], processes="2", ops=retrain)
    assert result.success
    assert losses(store) == pytest.approx(in_step, rel=1e-4)
    assert losses(store) != in_step

    trained = metadata_of(result, "generator")
    assert not trained["kept_as_it_was"]
    assert trained["epochs"] == 2
    assert "test_ndcg_at_10" in metadata_of(result, "metrics")
    messages = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert sum(message.startswith("Epoch ") for message in messages) == 2


@pytest.mark.slow
def test_an_error_of_a_process_is_the_steps_one_message(
    store: ArtifactStore, instance: dg.DagsterInstance
) -> None:
    assert materialize(store, instance, ["codebooks", "semantic_ids"]).success
    diverging = [*OVERRIDES, "training.learning_rate=1.0e30"]
    result = materialize(store, instance, ["generator"], processes="1", overrides=diverging)
    (failure,) = result.get_step_failure_events()
    error = failure.step_failure_data.error
    assert error is not None
    assert "The training loss became nan" in error.message
    assert "Pipes" not in error.message
    assert not store.directory("generator", "demo", "random").exists()


@pytest.mark.slow
def test_two_processes_encode_a_shard_each(
    store: ArtifactStore, instance: dg.DagsterInstance, tiny_config, tmp_path: Path
) -> None:
    texts = texts_table(some_texts(30))
    write_table(store.table("item_texts", "demo"), texts)
    overrides = [f"model.encoder={json.dumps(tiny_config.model_dump())}"]
    result = materialize(store, instance, ["item_embeddings"], "demo", "2", overrides)
    assert result.success
    shown = metadata_of(result, "item_embeddings")
    assert (shown["texts_encoded"], shown["texts_from_cache"]) == (30, 0)
    assert len(list(store.embedding_cache.glob("*/part-*.parquet"))) == 2

    expected = embed_item_texts(texts, tiny_config, tmp_path / "cache").table
    found = read_table(store.table("item_embeddings", "demo"))
    assert found["item_id"].equals(expected["item_id"])
    np.testing.assert_allclose(vectors_of(found), vectors_of(expected), atol=1e-6)


def test_steps_work_in_their_own_process_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROCESSES_VARIABLE, raising=False)
    assert ProcessesResource().in_step
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    assert not ProcessesResource().in_step
    assert ProcessesResource(count="in_step").in_step


@pytest.mark.parametrize("count", ["two", "0", "-1", "1.5"])
def test_what_is_no_number_of_processes_is_refused(count: str) -> None:
    with (
        dg.build_asset_context() as context,
        pytest.raises(ConfigurationError, match="no number of processes"),
    ):
        ProcessesResource(count=count).run(context, "train", [], ArtifactStore(Path()))


def test_the_launchpad_accepts_a_number_of_processes() -> None:
    config = {"resources": {"processes": {"config": {"count": "auto"}}}}
    dg.validate_run_config(defs.resolve_job_def("run_variant"), config)
