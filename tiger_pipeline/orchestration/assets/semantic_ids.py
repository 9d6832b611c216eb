"""Semantic-ID stage: the collision-resolved table of all warm items."""

import dagster as dg

from tiger_pipeline.orchestration.checks import blocking_check, check_result
from tiger_pipeline.orchestration.partitions import dataset_and_variant, dataset_variant_partitions
from tiger_pipeline.orchestration.resources import StoreResource
from tiger_pipeline.orchestration.results import table_result
from tiger_pipeline.orchestration.user_errors import clear_user_errors

GROUP = "semantic_ids"


@dg.asset(
    partitions_def=dataset_variant_partitions,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="1",
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

    directory = store.open().directory("codebooks", *dataset_and_variant(context))
    ids = assign_semantic_ids(directory, warm_item_embeddings)
    problems = find_problems(ids, warm_item_embeddings["item_id"].to_pylist())
    return table_result(
        ids.to_table(codebooks_fingerprint=fingerprint_files(sorted(directory.iterdir()))),
        metadata={
            "items_that_need_a_suffix": int(ids.needs_suffix.sum()),
            "suffix_tokens": ids.suffix_size,
            "trie_states": SemanticIdTrie.from_semantic_ids(ids).n_states,
        },
        check_results=[check_result("semantic_ids_are_sound", "semantic_ids", problems)],
    )
