"""Semantic-ID stage: the table of all warm items, and that of the items that came later."""

import dagster as dg

from tiger_pipeline.orchestration.checks import blocking_check, check_result, warning_check
from tiger_pipeline.orchestration.partitions import dataset_and_variant, dataset_variant_partitions
from tiger_pipeline.orchestration.previews import (
    changed_texts_preview,
    table_preview,
    versions_preview,
)
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.results import table_result
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "semantic_ids"


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="2",
    io_manager_key="tables",
    deps=["codebooks"],
    check_specs=[
        blocking_check(
            "semantic_ids_are_sound",
            "semantic_ids",
            "Every embedded item has one, no two items share one, codes are within their level.",
        )
    ],
)
@clear_user_errors
def semantic_ids(context: dg.AssetExecutionContext, warm_item_embeddings, store: StoreResource):
    """The semantic ID of every warm item: its codes, and a suffix where items share all codes."""
    from tiger_pipeline.semantic_ids.checks import find_problems
    from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
    from tiger_pipeline.storage.fingerprint import fingerprint_files
    from tiger_pipeline.workflows.codebooks import assign_semantic_ids

    artifacts = store.open()
    directory = artifacts.fetch(artifacts.directory("codebooks", *dataset_and_variant(context)))
    ids = assign_semantic_ids(directory, warm_item_embeddings)
    problems = find_problems(ids, warm_item_embeddings["item_id"].to_numpy())
    table = ids.to_table(codebooks_fingerprint=fingerprint_files(sorted(directory.iterdir())))
    return table_result(
        table.append_column("text_hash", warm_item_embeddings["text_hash"]),
        metadata={
            "items_that_need_a_suffix": int(ids.needs_suffix.sum()),
            "suffix_tokens": ids.suffix_size,
            "trie_states": SemanticIdTrie.from_semantic_ids(ids).n_states,
        },
        check_results=[check_result("semantic_ids_are_sound", "semantic_ids", problems)],
    )


class ColdSemanticIdsRun(dg.Config):
    """What a run may be asked for."""

    reassign_changed_texts: bool = False
    """Give cold items whose text has changed a new ID. Without it they keep the one they have."""


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="1",
    io_manager_key="tables",
    deps=["codebooks"],
    check_specs=[
        blocking_check(
            "cold_semantic_ids_are_sound",
            "cold_semantic_ids",
            "Every cold item has an ID of its own, and no ID that was ever given has moved.",
        ),
        warning_check(
            "codebooks_fit_new_items",
            "cold_semantic_ids",
            "Cold items are described as well, and spread as evenly over the codes, as the items "
            "that the codebooks were fitted on. A warning means: fit codebooks and generator anew.",
        ),
    ],
)
@clear_user_errors
def cold_semantic_ids(
    context: dg.AssetExecutionContext,
    config: ColdSemanticIdsRun,
    semantic_ids,
    item_embeddings,
    items,
    settings: SettingsResource,
    store: StoreResource,
):
    """The semantic IDs of items that came later, by the frozen codebooks; appended to, run by run.

    No warm row and no earlier row ever changes: codebooks and generator stay as they are, and
    reach the new items at once.
    """
    from datetime import datetime, timezone

    from tiger_pipeline.semantic_ids.checks import find_cold_problems
    from tiger_pipeline.workflows.cold_items import CatalogNow, grow_cold_table, read_cold_table

    partition = dataset_and_variant(context)
    resolved = settings.for_variant(partition)
    artifacts = store.open()
    catalog = CatalogNow(semantic_ids, items, item_embeddings, resolved.data.text.fields)
    earlier = read_cold_table(artifacts.fetch(artifacts.table("cold_semantic_ids", *partition)))
    growth = grow_cold_table(
        catalog,
        earlier,
        artifacts.fetch(artifacts.directory("codebooks", *partition)),
        now=datetime.now(timezone.utc),
        reassign_changed_texts=config.reassign_changed_texts,
    )
    table, history = growth.table, growth.table.history
    problems = find_cold_problems(catalog.warm, table, catalog.cold_item_ids, earlier)
    return table_result(
        table.to_table(),
        data_version=table.fingerprint,
        metadata={
            "version": history[-1].version,
            "joined_in_this_run": growth.version.joined if growth.version else 0,
            "cold_items": len(table.rows_in_use),
            "share_codes_with_others": int((table.in_use().suffixes > 0).sum()),
            "warm_items_withdrawn": len(table.warm_withdrawn),
            "cold_items_without_text": len(catalog.items_without_text),
            "texts_changed_but_not_the_id": len(growth.changed_texts),
            "changed_texts": changed_texts_preview(growth.changed_texts),
            "versions": versions_preview(history),
            "latest_ids": table_preview(table.to_table().slice(max(len(table.versions) - 8, 0))),
        },
        check_results=[
            check_result("cold_semantic_ids_are_sound", "cold_semantic_ids", problems),
            _codebook_fit(growth.fit, resolved.evaluation.codebook_drift),
        ],
    )


def _codebook_fit(fit, config) -> dg.AssetCheckResult:
    if fit is None:
        return check_result("codebooks_fit_new_items", "cold_semantic_ids", [])
    return check_result(
        "codebooks_fit_new_items",
        "cold_semantic_ids",
        fit.problems(config),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "cold_items": fit.items,
            **({} if fit.large_errors is None else {"large_errors": fit.large_errors}),
            "collisions": fit.collisions,
            "expected_collisions": fit.expected_collisions,
            **{f"code_shift_level_{level}": bits for level, bits in enumerate(fit.code_shift)},
        },
    )
