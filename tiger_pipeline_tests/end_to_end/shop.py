"""A dataset small enough to run the whole pipeline on in seconds."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DATASET = """\
# A shop with four series of books
data:
  source: {path: ../../shop}
  items_without_interactions: keep
model:
  quantizer: {kind: residual_kmeans, levels: 2, codewords: 8, iterations: 5}
  generator: {kind: decoder, blocks: 1, width: 32, heads: 2, dropout: 0.0}
training: {max_epochs: 12, validate_every: 4, learning_rate: 0.01, tokens_per_batch: 512}
evaluation: {beams: 20, sasrec: {width: 16, training: {max_epochs: 2}}}
"""
VARIANTS = {"plain": "", "by_chance": "model: {quantizer: {kind: random, codewords: 8}}"}

DAEMON = (str(Path(sys.executable).with_name("dagster-daemon")),)

SERIES = ("Dragon Tales", "Garden Year", "Bread Book", "Star Atlas")
VOLUMES = 10
USERS = 120


@dataclass(frozen=True)
class Shop:
    """The dataset `shop` with its variants, and a store of its own.

    Attributes:
        folder: holds shop/ (raw files), presets/, store/ and, if there is one, home/.
        environment: variables under which Dagster and `tiger` see only these.
    """

    folder: Path
    environment: dict[str, str]

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def raw(self) -> Path:
        return self.folder / "shop"

    def call(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `python -m COMMAND…` and capture what it prints."""
        return subprocess.run(
            [sys.executable, "-m", *command],
            env=self.environment,
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
        )

    def materialize(self, assets: str, partition: str) -> subprocess.CompletedProcess[str]:
        """`dagster asset materialize`, its steps in one process."""
        return self.call(
            *("dagster", "asset", "materialize", "-m", "tiger_pipeline.definitions"),
            *("--select", assets, "--partition", partition),
            *("--config-json", '{"execution": {"config": {"in_process": {}}}}'),
        )

    def start(self, log: Path, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own; what it prints goes into `log`."""
        with open(log, "w") as file:
            return subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Run `dagster-daemon` in the shop's DAGSTER_HOME until the block ends."""
        program = (*DAEMON, "run", "-m", "tiger_pipeline.definitions")
        process = self.start(self.folder / "daemon.log", *program)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)


def make_shop(folder: Path, with_home: bool) -> Shop:
    """Write the raw files and presets; users read on in a series and sometimes change it."""
    (folder / "shop").mkdir(parents=True)
    titles = [f"{series}, volume {volume}" for series in SERIES for volume in range(VOLUMES)]
    items = [f"b{i}\t{title}\tPress\tBooks > {title[:6]}" for i, title in enumerate(titles)]
    items.append("cold\tDragon Tales, volume 11\tPress\tBooks > Dragon")
    _write(folder / "shop" / "items.tsv", "item_id\ttitle\tbrand\tcategories", items)

    generator = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        series, volume, seen = user % len(SERIES), int(generator.integers(VOLUMES)), set()
        for time in range(8):
            item = series * VOLUMES + volume
            if item not in seen:
                rows.append(f"u{user}\tb{item}\t{time}")
                seen.add(item)
            if generator.random() < 0.1:
                series = int(generator.integers(len(SERIES)))
            volume = (volume + 1) % VOLUMES
    _write(folder / "shop" / "interactions.tsv", "user_id\titem_id\ttimestamp", rows)

    presets = {"datasets": {"shop": DATASET}, "variants": VARIANTS}
    for kind, files in presets.items():
        (folder / "presets" / kind).mkdir(parents=True)
        for name, text in files.items():
            (folder / "presets" / kind / f"{name}.yaml").write_text(text)
    return Shop(folder, shop_environment(folder, with_home))


def _write(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def shop_environment(folder: Path, with_home: bool) -> dict[str, str]:
    """Variables under which Dagster and `tiger` see the presets and the store in `folder` only."""
    environment = {
        **os.environ,
        "TIGER_CONFIG": str(folder / "presets"),
        "TIGER_STORE": str(folder / "store"),
        "HOME": str(folder),  # Dagster writes an identifier there
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("DAGSTER_HOME", None)
    if with_home:
        home = folder / "home"
        home.mkdir()
        shipped = Path(__file__).parents[2] / "dagster_home" / "dagster.yaml"
        (home / "dagster.yaml").write_text(shipped.read_text())
        environment["DAGSTER_HOME"] = str(home)
    return environment
