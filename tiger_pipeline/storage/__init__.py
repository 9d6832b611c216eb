"""Writing, reading and naming artifacts: atomic files, fingerprints, parquet tables, the store."""
