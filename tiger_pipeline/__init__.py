"""TIGER, "Recommender Systems with Generative Retrieval" (Rajput et al., 2023), as Dagster assets."""

__version__ = "0.1.0"
