"""How seconds and memory of preparing a catalog grow with its interactions.

    python -m benchmarks.catalog_growth --folder SCRATCH [--interactions 100000 1000000]

A made-up source in the plain layout, ten interactions an item and eight a user, is read, filtered
to its 5-core, split and written, each size in a process of its own. Linux only.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.scale import Stopwatch

SIZES = [100_000, 1_000_000]
_ROWS_PER_BLOCK = 2**17


def write_source(folder: Path, interactions: int) -> None:
    """Write `items.tsv` and `interactions.tsv`, block by block."""
    folder.mkdir(parents=True, exist_ok=True)
    n_items, n_users = interactions // 10, interactions // 8
    with open(folder / "items.tsv", "w") as file:
        file.write("item_id\ttitle\n")
        file.writelines(f"i{item}\tThing number {item} of many\n" for item in range(n_items))
    draw = np.random.default_rng(0)
    with open(folder / "interactions.tsv", "w") as file:
        file.write("user_id\titem_id\ttimestamp\n")
        for start in range(0, interactions, _ROWS_PER_BLOCK):
            rows = np.arange(start, min(start + _ROWS_PER_BLOCK, interactions))
            users = rows % n_users
            # The square makes low item numbers more popular, as in a shop.
            items = (n_items * draw.random(len(rows)) ** 2).astype(np.int64)
            lines = zip(users.tolist(), items.tolist(), rows.tolist(), strict=True)
            file.writelines(f"u{user}\ti{item}\t{time}\n" for user, item, time in lines)


def measure(folder: Path) -> Stopwatch:
    """Prepare the source in `folder`."""
    from tiger_pipeline.catalog.build import build_catalog
    from tiger_pipeline.catalog.config import DataConfig
    from tiger_pipeline.storage.tables import write_table

    config = DataConfig.model_validate({"source": {"format": "plain", "path": str(folder)}})
    watch = Stopwatch()
    with watch.running():
        catalog = build_catalog(config, folder)
        write_table(folder / "items.parquet", catalog.items)
        write_table(folder / "interactions.parquet", catalog.interactions)
    watch.note = f"{len(catalog.items):,} items, {len(catalog.interactions):,} interactions left"
    return watch


def main() -> None:
    """Measure all sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--interactions", type=int, nargs="*", default=SIZES)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(vars(measure(arguments.folder))))
        return
    print("| interactions | CPU seconds | peak memory, MiB | left |\n|---:|---:|---:|---|")
    found = []
    for interactions in arguments.interactions:
        folder = arguments.folder / f"catalog_{interactions}"
        try:
            write_source(folder, interactions)
            command = [sys.executable, "-m", "benchmarks.catalog_growth", "--measure"]
            done = subprocess.run(
                [*command, "--folder", str(folder)], stdout=subprocess.PIPE, text=True, check=True
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        run = json.loads(done.stdout)
        found.append(run)
        print(
            f"| {interactions:,} | {run['cpu_seconds']:.3g} | {run['peak'] / 2**20:,.0f} | "
            f"{run['note']} |",
            flush=True,
        )
    steps = math.log(arguments.interactions[-1] / arguments.interactions[0])
    for name, growth in (
        ("CPU time", math.log(found[-1]["cpu_seconds"] / found[0]["cpu_seconds"])),
        ("memory beyond the interpreter's", math.log(_own(found[-1]) / _own(found[0]))),
    ):
        print(f"{name} grows with the exponent {growth / steps:.2f}")


def _own(run: dict) -> int:
    return run["peak"] - run["before"]


if __name__ == "__main__":
    main()
