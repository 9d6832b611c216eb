"""Amazon reviews 2014 as published (McAuley et al., 2015).

Interactions: `reviews_<category>_5.json.gz` (or without `_5`), JSON lines; or
`ratings_<category>.csv`, no header, user,item,rating,timestamp. Items:
`meta_<category>.json.gz`, whose lines are Python literals, not JSON.
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
from tiger_pipeline.catalog.readers.contract import interaction_frame
from tiger_pipeline.catalog.readers.delimited import read_delimited
from tiger_pipeline.catalog.readers.layout import Layout, SourceFiles, locate_by_name
from tiger_pipeline.catalog.readers.python_literals import parse_literal
from tiger_pipeline.progress import Progress

_KEYS = ReviewKeys(user="reviewerID", item="asin", rating="overall", time="unixReviewTime")
_RATINGS_COLUMNS = ["user_id", "item_id", "rating", "timestamp"]
_FIELDS = {
    "title": text("title"),
    "brand": text("brand"),
    "categories": category_paths("categories"),
    "description": text("description"),
    "price": text("price"),
}


def _read(files: SourceFiles, source: SourceConfig, progress: Progress) -> RawCatalog:
    path = files.interactions[0]
    if ".csv" in path.suffixes:
        table = read_delimited(path, ",", quoting=False, column_names=_RATINGS_COLUMNS)
        interactions = interaction_frame(table, "user_id", "item_id", "timestamp", "rating")
    else:
        interactions = read_reviews(path, _KEYS, progress)
    items = read_metadata(files.items, "asin", _FIELDS, progress, parse=parse_literal)
    return complete_catalog(items, interactions)


LAYOUT = Layout(
    locate=locate_by_name(
        ("reviews_*.json.gz", "reviews_*.json", "ratings_*.csv", "ratings_*.csv.gz"),
        ("meta_*.json.gz", "meta_*.json"),
    ),
    read=_read,
)
