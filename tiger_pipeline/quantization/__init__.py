"""Embeddings to codebooks to codes: one quantizer a file, one protocol."""
