"""Make `data/demo`: a made-up hobby shop whose shoppers have tastes and follow sequels.

    python data/make_demo.py                     # rewrites data/demo, the same bytes every time
    python data/make_demo.py --seed 1 --out DIR  # another shop of the same kind

The shop. Thirty tastes (epic fantasy, fly fishing, bread baking, …) have a category path, some
brands and five product lines each. A line is a chain of three to five products, one leading to
the next: book 1 to book 2, a starter kit to its refill. Titles, brands and categories show the
taste and the line, so that items which belong together also read alike. As in real catalogs, some
cells are empty and some products are listed twice, under the same text or nearly the same.

New arrivals. The last product of some lines has no interactions: nobody can have bought it yet,
but its text says where it belongs.

The shoppers. A user has one to three tastes, popular ones more often. At each step, nearly one
time in five, the user buys just anything outside those tastes (a present, a whim). Otherwise the
user mostly takes the next product of the line followed last, now and then skipping one; sometimes,
or when no line is left unfinished, the user begins another line in those tastes, popular lines
more often. So the next purchase depends on the last one, on lines left unfinished before it, and
on the tastes.

The numbers come from the standard library's generator and plain arithmetic alone, so that the
files are the same on every machine. The word lists are in `data/demo/words.json`.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from random import Random
from typing import TypeVar

from tiger_pipeline.errors import ArtifactError
from tiger_pipeline.storage.atomic import atomic_file

_Value = TypeVar("_Value")

DEMO_FOLDER = Path(__file__).resolve().parent / "demo"
WORDS_FILE = DEMO_FOLDER / "words.json"

LINE_LENGTHS = (3, 4, 4, 5)
NEW_ARRIVALS = 30
EXACT_RELISTINGS = 6
SIMILAR_RELISTINGS = 6
EMPTY_BRAND_SHARE = 0.06
EMPTY_CATEGORIES_SHARE = 0.03

USERS = 3000
SHORTEST_HISTORY, LONGEST_HISTORY = 6, 25
PURCHASES_PER_TASTE = 9
OFF_TASTE_SHARE = 0.18
CONTINUE_SHARE = 0.65
SKIP_SHARE = 0.2
FIRST_LISTING_SHARE = 0.65

DAY = 24 * 60 * 60
OPENING = 1_640_995_200  # 2022-01-01 00:00 UTC
JOINING_DAYS = 600
LONGEST_GAP_DAYS = 30
SAME_ORDER_SHARE = 0.04


@dataclass(frozen=True)
class Taste:
    """Words from which the product lines of one taste are composed."""

    categories: str
    brands: list[str]
    first: list[str]
    second: list[str]
    details: list[str]
    products: list[str]
    """Title templates with `{name}` and perhaps `{detail}`, in the order in which one buys them."""


@dataclass(frozen=True)
class Listing:
    """An item as the shop shows it."""

    title: str
    brand: str
    categories: str


@dataclass(frozen=True)
class ProductLine:
    """A chain of products, each leading to the next.

    Attributes:
        taste: index of the taste that it belongs to.
        popularity: relative chance of being begun.
        products: for each product, the rows of the catalog that sell it (two if it is relisted).
        released: how many of the products can have been bought; the rest are new arrivals.
    """

    taste: int
    popularity: float
    products: tuple[tuple[int, ...], ...]
    released: int


@dataclass(frozen=True)
class Shop:
    """The catalog, and the structure that the shoppers follow but the files do not show."""

    listings: list[Listing]
    lines: list[ProductLine]


@dataclass(frozen=True)
class Purchase:
    """One interaction: a row of the catalog, bought at a Unix time in seconds."""

    row: int
    timestamp: int


def read_tastes(path: Path = WORDS_FILE) -> list[Taste]:
    """Read the word lists."""
    return [Taste(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def make_shop(rng: Random, tastes: Sequence[Taste]) -> Shop:
    """Compose the catalog: product lines, then new arrivals, then relistings."""
    shop = Shop([], [])
    for index, taste in enumerate(tastes):
        taste_popularity = 0.5 + rng.random()
        names = zip(_shuffled(rng, taste.first), _shuffled(rng, taste.second), strict=True)
        for rank, name in enumerate(names):
            rows = []
            for listing in _compose_line(rng, taste, " ".join(name)):
                rows.append((len(shop.listings),))
                shop.listings.append(listing)
            popularity = taste_popularity / (rank + 3)
            shop.lines.append(ProductLine(index, popularity, tuple(rows), len(rows)))
    _hold_back_arrivals(rng, shop)
    _relist(rng, shop)
    return shop


def _compose_line(rng: Random, taste: Taste, name: str) -> Iterable[Listing]:
    brand = rng.choice(taste.brands)
    details = _shuffled(rng, taste.details) or [""] * len(taste.products)
    templates = taste.products[: rng.choice(LINE_LENGTHS)]
    for template, detail in zip(templates, details, strict=False):
        yield Listing(
            title=template.format(name=name, detail=detail),
            brand="" if rng.random() < EMPTY_BRAND_SHARE else brand,
            categories="" if rng.random() < EMPTY_CATEGORIES_SHARE else taste.categories,
        )


def _hold_back_arrivals(rng: Random, shop: Shop) -> None:
    """Leave the last product of `NEW_ARRIVALS` lines, of four or more, unsold."""
    long_lines = [i for i, line in enumerate(shop.lines) if len(line.products) >= 4]
    for i in rng.sample(long_lines, NEW_ARRIVALS):
        shop.lines[i] = replace(shop.lines[i], released=shop.lines[i].released - 1)


def _relist(rng: Random, shop: Shop) -> None:
    """List the first product of some lines once more, word for word or with one word added.

    The first product of a line sells best, so that both listings keep enough interactions.
    """
    chosen = rng.sample(range(len(shop.lines)), EXACT_RELISTINGS + SIMILAR_RELISTINGS)
    for count, i in enumerate(chosen):
        (original, *_), *others = shop.lines[i].products
        listing = shop.listings[original]
        if count >= EXACT_RELISTINGS:
            listing = replace(listing, title=f"{listing.title} (New)")
        products = ((original, len(shop.listings)), *others)
        shop.listings.append(listing)
        shop.lines[i] = replace(shop.lines[i], products=products)


class Shopper:
    """One user on the way through the shop; never buys a product twice, in either listing."""

    def __init__(self, rng: Random, shop: Shop, n_tastes: int) -> None:
        self.rng = rng
        self.shop = shop
        self.tastes: set[int] = set()
        while len(self.tastes) < n_tastes:
            self.tastes.add(self._pick_line(shop.lines).taste)
        self.unbegun = [line for line in shop.lines if line.taste in self.tastes]
        self.elsewhere = [line for line in shop.lines if line.taste not in self.tastes]
        self.unfinished: list[tuple[ProductLine, int]] = []
        self.whims: set[tuple[int, ...]] = set()

    def buy(self) -> int:
        """Take one more step; return the row of the catalog that is bought."""
        off_taste = self.rng.random() < OFF_TASTE_SHARE
        if off_taste or not (self.unfinished or self.unbegun):
            return self._listing_of(self._buy_on_a_whim())
        proceed = self.rng.random() < CONTINUE_SHARE
        if self.unfinished and (proceed or not self.unbegun):
            return self._listing_of(self._buy_from(*self.unfinished.pop()))
        line = self._pick_line(self.unbegun)
        self.unbegun.remove(line)
        return self._listing_of(self._buy_from(line, 0))

    def _buy_from(self, line: ProductLine, position: int) -> tuple[int, ...]:
        if position + 1 < line.released and self.rng.random() < SKIP_SHARE:
            position += 1
        if position + 1 < line.released:
            self.unfinished.append((line, position + 1))
        return line.products[position]

    def _buy_on_a_whim(self) -> tuple[int, ...]:
        while True:
            line = self._pick_line(self.elsewhere)
            product = self.rng.choice(line.products[: line.released])
            if product not in self.whims:
                self.whims.add(product)
                return product

    def _pick_line(self, lines: Sequence[ProductLine]) -> ProductLine:
        return self.rng.choices(lines, [line.popularity for line in lines])[0]

    def _listing_of(self, product: tuple[int, ...]) -> int:
        return product[0] if self.rng.random() < FIRST_LISTING_SHARE else product[-1]


def make_history(rng: Random, shop: Shop) -> list[Purchase]:
    """Let one shopper loose; purchases of the same order share their timestamp."""
    lengths = range(SHORTEST_HISTORY, LONGEST_HISTORY + 1)
    # The shorter of two draws: most histories are short, as in real shops.
    length = min(rng.choice(lengths), rng.choice(lengths))
    shopper = Shopper(rng, shop, n_tastes=1 + length // PURCHASES_PER_TASTE)
    now = OPENING + rng.randrange(JOINING_DAYS * DAY)
    history = [Purchase(shopper.buy(), now)]
    while len(history) < length:
        if rng.random() >= SAME_ORDER_SHARE:
            now += rng.randrange(DAY, LONGEST_GAP_DAYS * DAY)
        history.append(Purchase(shopper.buy(), now))
    return history


def make_demo(seed: int, folder: Path) -> None:
    """Write `items.tsv` and `interactions.tsv` to `folder`; the same seed gives the same bytes.

    Items stand in random order, so that neither their ids nor their places tell what they are.

    Raises:
        ArtifactError: a file could not be written; an earlier one is left as it was.
    """
    rng = Random(seed)
    shop = make_shop(rng, read_tastes())
    histories = [make_history(rng, shop) for _ in range(USERS)]
    order = _shuffled(rng, range(len(shop.listings)))
    item_ids = {row: f"I{place:04d}" for place, row in enumerate(order, start=1)}
    items = ((item_ids[row], *astuple(shop.listings[row])) for row in order)
    interactions = (
        (f"U{user:04d}", item_ids[purchase.row], str(purchase.timestamp))
        for user, history in enumerate(histories, start=1)
        for purchase in history
    )
    _write(folder / "items.tsv", ("item_id", "title", "brand", "categories"), items)
    _write(folder / "interactions.tsv", ("user_id", "item_id", "timestamp"), interactions)


def _shuffled(rng: Random, values: Sequence[_Value]) -> list[_Value]:
    return rng.sample(values, len(values))


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with atomic_file(path) as scratch, open(scratch, "w", encoding="utf-8", newline="\n") as out:
        out.writelines("\t".join(cells) + "\n" for cells in (header, *rows))


def main() -> None:
    """Read the command line and write the files."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument(
        "--out", type=Path, default=DEMO_FOLDER, help="folder (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        make_demo(arguments.seed, arguments.out)
    except ArtifactError as error:
        parser.exit(1, f"{error}\n")
    sys.stdout.write(f"Wrote items.tsv and interactions.tsv to {arguments.out}.\n")


if __name__ == "__main__":
    main()
