"""Codes to semantic IDs: collisions and suffixes, the table, the trie."""
