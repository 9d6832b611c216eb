"""Generative retrieval as Dagster assets: TIGER (Rajput et al., NeurIPS 2023), end to end."""

__version__ = "0.1.0"
