"""The evaluation protocol: metrics, baselines, the report."""
