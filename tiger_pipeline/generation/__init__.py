"""Generators of semantic IDs: networks, training, constrained beam search."""
