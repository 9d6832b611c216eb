"""The pipeline as Dagster assets: orchestration only, the science is in the stages."""
