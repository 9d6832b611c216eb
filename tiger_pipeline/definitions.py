"""The code location: everything that Dagster shows and runs.

Importing this module loads no torch, transformers, FAISS or pandas: assets import them when they
compute, so that the UI comes up fast and a step pays only for what it uses.
"""

import dagster as dg

from tiger_pipeline.orchestration import assets, jobs, new_items
from tiger_pipeline.orchestration.io_managers import ParquetIOManager
from tiger_pipeline.orchestration.processes import ProcessesResource
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.orchestration.step_executor import step_executor
from tiger_pipeline.orchestration.whole_pipeline import whole_pipeline

store = StoreResource()
every_asset = dg.load_assets_from_package_module(assets)

defs = dg.Definitions(
    assets=every_asset,
    executor=step_executor(every_asset),
    jobs=[
        jobs.prepare_dataset,
        jobs.make_semantic_ids,
        jobs.train_and_evaluate,
        jobs.run_variant,
        jobs.compare_variants,
        jobs.add_items_to_catalog,
        jobs.add_items_to_variant,
        new_items.add_new_items,
        whole_pipeline,
    ],
    sensors=[new_items.new_items_sensor],
    schedules=[new_items.new_items_hourly, new_items.new_items_daily],
    resources={
        "store": store,
        "settings": SettingsResource(),
        "processes": ProcessesResource(),
        "tables": ParquetIOManager(store=store),
    },
)
