"""Stages put together, without Dagster: what an asset does, callable from a notebook."""
