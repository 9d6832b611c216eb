"""Recommenders without learned semantic IDs, measured on the same protocol as the generators."""
