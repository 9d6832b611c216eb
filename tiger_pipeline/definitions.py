"""The code location: everything that Dagster shows and runs.

Importing this module loads no torch, transformers, FAISS or pandas: assets import them when they
compute, so that the UI comes up fast and a step pays only for what it uses.
"""

import dagster as dg

from tiger_pipeline.orchestration import assets, jobs
from tiger_pipeline.orchestration.io_managers import ParquetIOManager
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.whole_pipeline import whole_pipeline

store = StoreResource()

defs = dg.Definitions(
    assets=dg.load_assets_from_package_module(assets),
    jobs=[
        jobs.prepare_dataset,
        jobs.make_semantic_ids,
        jobs.train_and_evaluate,
        jobs.run_variant,
        jobs.compare_variants,
        whole_pipeline,
    ],
    resources={
        "store": store,
        "settings": SettingsResource(),
        "tables": ParquetIOManager(store=store),
    },
)
