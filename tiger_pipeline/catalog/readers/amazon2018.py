"""Amazon reviews 2018 as published (Ni et al., 2019): JSON lines.

Interactions: `<category>_5.json.gz` or `<category>.json.gz`; items: `meta_<category>.json.gz`.
"""

from tiger_pipeline.catalog.config import SourceConfig
from tiger_pipeline.catalog.raw import RawCatalog
from tiger_pipeline.catalog.readers.amazon import (
    ReviewKeys,
    category_paths,
    complete_catalog,
    read_metadata,
    read_reviews,
    text,
)
from tiger_pipeline.catalog.readers.layout import Layout, SourceFiles, locate_by_name
from tiger_pipeline.progress import Progress

_SUFFIXES = ("json.gz", "json", "jsonl.gz", "jsonl")
_KEYS = ReviewKeys(user="reviewerID", item="asin", rating="overall", time="unixReviewTime")
_FIELDS = {
    "title": text("title"),
    "brand": text("brand"),
    "categories": category_paths("category"),
    "main_category": text("main_cat"),
    "description": text("description"),
    "features": text("feature"),
    "price": text("price"),
}


def _read(files: SourceFiles, source: SourceConfig, progress: Progress) -> RawCatalog:
    interactions = read_reviews(files.interactions[0], _KEYS, progress)
    items = read_metadata(files.items, "asin", _FIELDS, progress)
    return complete_catalog(items, interactions)


LAYOUT = Layout(
    locate=locate_by_name(
        tuple(f"*.{suffix}" for suffix in _SUFFIXES),
        tuple(f"meta_*.{suffix}" for suffix in _SUFFIXES),
        not_like="meta_*",
    ),
    read=_read,
)
