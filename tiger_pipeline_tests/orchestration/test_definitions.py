import dagster as dg
import pytest

from tiger_pipeline.configuration.presets import Presets
from tiger_pipeline.definitions import defs

STAGES = {"catalog", "encoding", "quantization", "semantic_ids", "generation", "evaluation"}


def specs() -> list[dg.AssetSpec]:
    return sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)


def test_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_every_stage_is_a_group():
    assert {spec.group_name for spec in specs()} == STAGES


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.key.to_user_string())
def test_every_asset_is_described_and_versioned(spec: dg.AssetSpec):
    assert spec.description
    assert spec.code_version
    assert spec.kinds
    assert spec.partitions_def is not None


def test_every_preset_is_a_partition():
    partitions = {
        spec.key.to_user_string(): set(spec.partitions_def.get_partition_keys()) for spec in specs()
    }
    datasets, variants = list(Presets().datasets()), list(Presets().variants())
    assert partitions["items"] == set(datasets)
    assert partitions["generator"] == {f"{d}|{v}" for d in datasets for v in variants}


def test_the_chain_goes_from_raw_text_to_the_leaderboard():
    graph = defs.resolve_asset_graph()
    above = graph.get_ancestor_asset_keys(dg.AssetKey("leaderboard"))
    assert {key.to_user_string() for key in above} == {
        "items",
        "interactions",
        "item_texts",
        "item_embeddings",
        "warm_item_embeddings",
        "baseline_metrics",
        "sasrec_baseline",
        "codebooks",
        "semantic_ids",
        "generator",
        "metrics",
    }


def test_a_new_item_reaches_codebooks_only_through_the_barrier():
    graph = defs.resolve_asset_graph()
    parents = graph.get(dg.AssetKey("codebooks")).parent_keys
    assert {key.to_user_string() for key in parents} == {"warm_item_embeddings", "interactions"}


def test_every_check_blocks_but_the_one_that_advises():
    graph = defs.resolve_asset_graph()
    checks = graph.asset_check_keys
    assert {key.name for key in checks} == {
        "items_are_sound",
        "interactions_are_sound",
        "no_target_in_training",
        "embeddings_are_sound",
        "semantic_ids_are_sound",
        "cold_semantic_ids_are_sound",
        "codebooks_fit_new_items",
        "every_interaction_has_an_embedding",
    }
    lenient = [key.name for key in checks if not graph.get_check_spec(key).blocking]
    assert lenient == ["codebooks_fit_new_items"]


@pytest.mark.parametrize("overrides", [["training.max_epochs=3"], []])
def test_overrides_are_accepted_by_the_launchpad(overrides: list[str]):
    job = defs.resolve_job_def("run_variant")
    dg.validate_run_config(job, {"resources": {"settings": {"config": {"overrides": overrides}}}})


def test_an_unknown_key_is_refused_by_the_launchpad():
    job = defs.resolve_job_def("run_variant")
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, {"resources": {"settings": {"config": {"override": []}}}})
