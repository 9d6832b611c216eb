"""How seconds and memory of the semantic-ID stage grow with the catalog.

    python -m benchmarks.scale --folder SCRATCH [--sizes 10000 100000 1000000] [--dimension 384]

Vectors in clusters are written block by block as the pipeline's own `warm_item_embeddings`. Then
each stage runs in a process of its own: the functions that the assets call, and the two assets
themselves, materialized by Dagster. Seconds are those of the stage; memory is the peak of the
process's resident memory (VmHWM), reset when the stage begins, mapped pages included.

Results are kept in SCRATCH/results.json, so that sizes can be measured one by one; the vectors and
artifacts of a size are removed when it is done. Disk: twice the vectors, 31 GB for ten million of
384 numbers (the scratch copy is in TMPDIR, else in /var/tmp). Linux only.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SIZES = [10_000, 100_000, 1_000_000]
LARGEST_EXPONENT = 1.1
WHOLE = "stage as a whole"
LARGEST_MEMORY = 16 * 2**30
DATASET, VARIANT = "demo", "kmeans_points_100"
USERS, BEAMS = 256, 20
_CLUSTERS, _LATENT_WIDTH, _ROWS_PER_BLOCK = 4096, 32, 2**16


@dataclass(frozen=True)
class Measured:
    """What one stage took.

    Attributes:
        stage: its name.
        items: of the catalog.
        dimension: of the vectors.
        seconds: of the stage alone, its input read.
        cpu_seconds: of all its threads; on a busy machine the growth shows in these.
        before: bytes of resident memory when it began.
        peak: most bytes of resident memory while it ran.
        note: what it found.
    """

    stage: str
    items: int
    dimension: int
    seconds: float
    cpu_seconds: float
    before: int
    peak: int
    note: str = ""


class Stopwatch:
    """Seconds and peak memory of what runs in `running`."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self.before = self.peak = 0
        self.note = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure a block."""
        Path("/proc/self/clear_refs").write_text("5")
        self.before = _resident_bytes("VmRSS")
        started, cpu_started = time.perf_counter(), time.process_time()
        yield
        self.seconds = time.perf_counter() - started
        self.cpu_seconds = time.process_time() - cpu_started
        self.peak = _resident_bytes("VmHWM")


def _resident_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"no {field} in /proc/self/status")


def write_embeddings(path: Path, items: int, dimension: int) -> None:
    """Write clustered vectors as the artifact `warm_item_embeddings`, never holding them all."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from tiger_pipeline.encoding.embedding_table import list_array_of
    from tiger_pipeline.storage.tables import with_metadata
    from tiger_pipeline.storage.vector_columns import rows_per_group

    def table_of(start: int) -> pa.Table:
        rows = np.arange(start, min(start + _ROWS_PER_BLOCK, items))
        names = pa.array(rows).cast(pa.string())
        columns = {
            "item_id": pc.binary_join_element_wise("item-", names, ""),
            "text_hash": pc.utf8_lpad(names, 16, padding="0"),
            "embedding": list_array_of(_clustered_vectors(rows, dimension)),
        }
        return with_metadata(pa.table(columns), {"dimension": dimension})

    path.parent.mkdir(parents=True, exist_ok=True)
    first = table_of(0)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for start in range(0, items, _ROWS_PER_BLOCK):
            writer.write_table(table_of(start), row_group_size=rows_per_group(first))


def _clustered_vectors(rows: np.ndarray, dimension: int) -> np.ndarray:
    """float32[m, dimension]: clusters of uneven size, of a low dimension within, and noise."""
    basis, centers, shares, noise = _shape_of_vectors(dimension)
    draw = np.random.default_rng([1, int(rows[0])])
    latent = centers[draw.choice(_CLUSTERS, len(rows), p=shares)]
    latent += 0.5 * draw.standard_normal(latent.shape, dtype=np.float32)
    return latent @ basis + noise[: len(rows)]


@cache
def _shape_of_vectors(dimension: int) -> tuple[np.ndarray, ...]:
    """What the blocks have in common; the noise too, as drawing it anew takes most of the time."""
    draw = np.random.default_rng(0)
    basis = draw.standard_normal((_LATENT_WIDTH, dimension), dtype=np.float32)
    centers = draw.standard_normal((_CLUSTERS, _LATENT_WIDTH), dtype=np.float32)
    shares = draw.dirichlet(np.full(_CLUSTERS, 0.5))
    noise = 0.3 * draw.standard_normal((_ROWS_PER_BLOCK, dimension), dtype=np.float32)
    return basis, centers, shares, noise


class Paths:
    """Where a size's files are: those of an artifact store, and those between stages."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.embeddings = self.store / "warm_item_embeddings" / f"{DATASET}.parquet"
        self.quantizer = folder / "quantizer"
        self.codes = folder / "codes.npy"
        self.table = folder / "semantic_ids.parquet"


def read(paths: Paths, watch: Stopwatch) -> None:
    """Read the embeddings, which maps them when they are large."""
    from tiger_pipeline.storage.tables import read_table

    with watch.running():
        table = read_table(paths.embeddings)
    watch.note = f"{paths.embeddings.stat().st_size / 1e9:.2f} GB of parquet, {len(table):,} rows"


def fit(paths: Paths, watch: Stopwatch) -> None:
    """Residual k-means, 3 × 256."""
    from tiger_pipeline.encoding.embedding_table import vectors_of
    from tiger_pipeline.quantization.config import ResidualKMeansConfig
    from tiger_pipeline.quantization.quantizer import fit_quantizer, save_quantizer
    from tiger_pipeline.storage.tables import read_table

    vectors = vectors_of(read_table(paths.embeddings))
    config = ResidualKMeansConfig()
    with watch.running():
        quantizer = fit_quantizer(config, vectors)
    save_quantizer(paths.quantizer, quantizer, {})
    sample = min(len(vectors), config.items_per_codeword * config.codewords)
    watch.note = f"fitted on {sample:,} items"


def assign(paths: Paths, watch: Stopwatch) -> None:
    """Codes of all items."""
    from tiger_pipeline.encoding.embedding_table import vectors_of
    from tiger_pipeline.quantization.quantizer import load_quantizer
    from tiger_pipeline.storage.tables import read_table

    vectors = vectors_of(read_table(paths.embeddings))
    quantizer = load_quantizer(paths.quantizer)
    quantizer.assign(vectors[:1000])  # starts threads and allocators
    with watch.running():
        codes = quantizer.assign(vectors)
    np.save(paths.codes, codes)
    watch.note = f"{len(codes) / watch.cpu_seconds:,.0f} items a CPU second"


def resolve(paths: Paths, watch: Stopwatch) -> None:
    """Collisions, suffixes, the checked table of semantic IDs, written."""
    from tiger_pipeline.quantization.statistics import collision_statistics
    from tiger_pipeline.semantic_ids.checks import find_problems
    from tiger_pipeline.semantic_ids.table import SemanticIds
    from tiger_pipeline.storage.tables import read_table, write_table

    item_ids = read_table(paths.embeddings, ["item_id"])["item_id"]
    codes = np.load(paths.codes)
    with watch.running():
        names = item_ids.to_numpy()
        ids = SemanticIds.from_codes(names, codes, (256,) * 3)
        assert not find_problems(ids, names)
        write_table(paths.table, ids.to_table(""))
    found = collision_statistics(codes)
    watch.note = (
        f"{found['collision_rate']:.1%} of the items share their codes, at most "
        f"{found['largest_group']:,} the same"
    )


def build_trie(paths: Paths, watch: Stopwatch) -> None:
    """The trie of all semantic IDs, from the table."""
    from tiger_pipeline.semantic_ids.table import SemanticIds
    from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
    from tiger_pipeline.storage.tables import read_table

    ids = SemanticIds.from_table(read_table(paths.table))
    with watch.running():
        trie = SemanticIdTrie.from_semantic_ids(ids)
    watch.note = f"{trie.n_states:,} states, branching {trie.max_branching.tolist()}"


def search(paths: Paths, watch: Stopwatch) -> None:
    """Constrained beam search of a batch of users, the network replaced by ready-made numbers."""
    import torch

    from benchmarks.beam_search import ReadyMade
    from tiger_pipeline.generation.beam_search import beam_search
    from tiger_pipeline.generation.trie_tensors import trie_tensors
    from tiger_pipeline.semantic_ids.table import SemanticIds
    from tiger_pipeline.semantic_ids.trie import SemanticIdTrie
    from tiger_pipeline.storage.tables import read_table

    torch.set_num_threads(1)
    trie = SemanticIdTrie.from_semantic_ids(SemanticIds.from_table(read_table(paths.table)))
    tensors = trie_tensors(trie, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    by_level = [
        torch.randn(USERS, BEAMS if level else 1, size, generator=generator).mul(3).log_softmax(-1)
        for level, size in enumerate(trie.codebook_sizes)
    ]
    beam_search(ReadyMade(by_level), tensors, BEAMS)
    with watch.running():
        beam_search(ReadyMade(by_level), tensors, BEAMS)
    watch.note = f"{USERS / watch.cpu_seconds:,.0f} users a CPU second, {type(tensors).__name__}"


def codebooks_asset(paths: Paths, watch: Stopwatch) -> None:
    """The asset `codebooks`, materialized: reading, fitting, assigning, statistics."""
    from tiger_pipeline.orchestration.assets.quantization import codebooks

    _materialize(codebooks, paths, watch)


def semantic_ids_asset(paths: Paths, watch: Stopwatch) -> None:
    """The asset `semantic_ids`, materialized: reading, assigning, table, checks, trie, writing."""
    from tiger_pipeline.orchestration.assets.semantic_ids import semantic_ids

    _materialize(semantic_ids, paths, watch)


def _materialize(asset: Any, paths: Paths, watch: Stopwatch) -> None:
    import dagster as dg

    from tiger_pipeline.orchestration.io_managers import ParquetIOManager
    from tiger_pipeline.orchestration.partitions import dataset_partitions
    from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource

    store = StoreResource(root=str(paths.store))
    given = dg.AssetSpec("warm_item_embeddings", partitions_def=dataset_partitions)
    resources = {
        "store": store,
        "settings": SettingsResource(overrides=["model.quantizer.tolerance=0.001"]),
        "tables": ParquetIOManager(store=store),
    }
    with watch.running():
        result = dg.materialize(
            [given.with_io_manager_key("tables"), asset],
            selection=[asset],
            partition_key=f"{DATASET}|{VARIANT}",
            resources=resources,
        )
    assert result.success


STAGES: dict[str, Callable[[Paths, Stopwatch], None]] = {
    "read": read,
    "k-means": fit,
    "assignment": assign,
    "collisions and table": resolve,
    "trie": build_trie,
    "beam search": search,
    "asset codebooks": codebooks_asset,
    "asset semantic_ids": semantic_ids_asset,
}


def measure_size(
    items: int, dimension: int, folder: Path, stages: list[str], repeats: int
) -> list[Measured]:
    """Stages of one size; of several repeats the fastest counts."""
    scratch = folder / str(items)
    try:
        started = time.perf_counter()
        write_embeddings(Paths(scratch).embeddings, items, dimension)
        print(f"{items:,} vectors made in {time.perf_counter() - started:.0f} s", flush=True)
        found = []
        for stage in stages:
            runs = [_in_own_process(stage, items, dimension, scratch) for _ in range(repeats)]
            found.append(min(runs, key=lambda run: run.cpu_seconds))
            print(row_of(found[-1]), flush=True)
        return found
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _in_own_process(stage: str, items: int, dimension: int, scratch: Path) -> Measured:
    command = [sys.executable, "-m", "benchmarks.scale", "--folder", str(scratch), "--stage", stage]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(stage, items, dimension, **json.loads(finished.stdout.splitlines()[-1]))


def exponents(rows: list[Measured], value: Callable[[Measured], float]) -> tuple[float, float]:
    """Slope in log-log of a stage over all its sizes, and between the two largest."""
    sizes = np.log([row.items for row in rows])
    values = np.log([max(value(row), 1e-9) for row in rows])
    last = (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
    return float(np.polyfit(sizes, values, 1)[0]), float(last)


HEADER = (
    "| stage | items | d | seconds | CPU seconds | peak memory, MiB | found |\n"
    "|---|---:|---:|---:|---:|---:|---|"
)


def row_of(row: Measured) -> str:
    """One line of the table."""
    return (
        f"| {row.stage} | {row.items:,} | {row.dimension} | {row.seconds:,.3g} | "
        f"{row.cpu_seconds:,.3g} | {row.peak / 2**20:,.0f} | {row.note} |"
    )


def report(rows: list[Measured]) -> str:
    """The tables and the verdicts, Markdown."""
    lines = [HEADER, *map(row_of, rows), ""]
    lines += ["| stage | CPU time exponent | its last step | memory exponent | its last step |"]
    lines += ["|---|---:|---:|---:|---:|"]
    beyond = []
    parts = [stage for stage in STAGES if not stage.startswith("asset")]
    for stages in [[stage] for stage in STAGES] + [parts]:
        name = stages[0] if len(stages) == 1 else WHOLE
        totals = [_total(rows, stages, items) for items in sorted({row.items for row in rows})]
        measured = [total for total in totals if total is not None]
        if len(measured) < 2:
            continue
        found = [
            *exponents(measured, lambda row: row.cpu_seconds),
            *exponents(measured, lambda row: row.peak - _interpreter(rows)),
        ]
        beyond += [name] * (max(found) > LARGEST_EXPONENT)
        lines.append(f"| {name} | " + " | ".join(f"{slope:.2f}" for slope in found) + " |")
    most = max(row.peak for row in rows)
    lines += [
        "",
        f"{_verdict(WHOLE not in beyond)}: the exponents of the {WHOLE} are at most "
        f"{LARGEST_EXPONENT}. Of its parts beyond: {', '.join(beyond) or 'none'}.",
        "",
        f"{_verdict(most <= LARGEST_MEMORY)}: the peak of {max(row.items for row in rows):,} "
        f"items is {most / 2**30:.2f} GiB (at most {LARGEST_MEMORY / 2**30:.0f} GiB).",
    ]
    return "\n".join(lines)


def _total(rows: list[Measured], stages: list[str], items: int) -> Measured | None:
    """Some stages of one size as one, None where not all were measured."""
    chosen = [row for row in rows if row.items == items and row.stage in stages]
    if len(chosen) < len(stages):
        return None
    seconds, cpu_seconds = sum(r.seconds for r in chosen), sum(r.cpu_seconds for r in chosen)
    before, peak = min(r.before for r in chosen), max(r.peak for r in chosen)
    return Measured(WHOLE, items, chosen[0].dimension, seconds, cpu_seconds, before, peak)


def _interpreter(rows: list[Measured]) -> int:
    """What a process holds before it has done anything, so that it does not hide the growth."""
    return min(row.before for row in rows)


def _verdict(holds: bool) -> str:
    return "PASS" if holds else "FAIL"


def main() -> None:
    """Measure the sizes that are not in the results yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        watch = Stopwatch()
        STAGES[arguments.stage](Paths(arguments.folder), watch)
        print(json.dumps(vars(watch)))
        return
    results = arguments.folder / "results.json"
    rows = [Measured(**row) for row in json.loads(results.read_text())] if results.exists() else []
    for items in sorted(set(arguments.sizes) - {row.items for row in rows}):
        rows += measure_size(
            items, arguments.dimension, arguments.folder, arguments.stages, arguments.repeats
        )
        rows.sort(key=lambda row: row.items)
        results.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print(report(rows))


if __name__ == "__main__":
    main()
