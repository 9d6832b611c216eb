"""Training and encoding as programs of their own, one process or several, with Dagster or not."""
