"""Amazon Reviews 2023 as published (Hou et al., 2024): JSON lines.

Interactions: `<category>.jsonl.gz`, time in milliseconds; items: `meta_<category>.jsonl.gz`. An
item is a `parent_asin`: variants in size or color have one.
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
from tiger_pipeline.catalog.readers.json_lines import Record
from tiger_pipeline.catalog.readers.layout import Layout, SourceFiles, locate_by_name
from tiger_pipeline.progress import Progress

_KEYS = ReviewKeys(
    user="user_id", item="parent_asin", rating="rating", time="timestamp", per_second=1000
)


def _brand(record: Record) -> str:
    details = record.get("details")
    return text("Brand")(details) if isinstance(details, dict) else ""


_FIELDS = {
    "title": text("title"),
    "brand": _brand,
    "categories": category_paths("categories"),
    "main_category": text("main_category"),
    "store": text("store"),
    "description": text("description"),
    "features": text("features"),
    "price": text("price"),
}


def _read(files: SourceFiles, source: SourceConfig, progress: Progress) -> RawCatalog:
    interactions = read_reviews(files.interactions[0], _KEYS, progress)
    items = read_metadata(files.items, "parent_asin", _FIELDS, progress)
    return complete_catalog(items, interactions)


LAYOUT = Layout(
    locate=locate_by_name(
        ("*.jsonl.gz", "*.jsonl"), ("meta_*.jsonl.gz", "meta_*.jsonl"), not_like="meta_*"
    ),
    read=_read,
)
