"""Readers of raw datasets, one file a layout; `source.read_source` picks the one to use."""
