"""`tiger`: the commands a person types."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

from tiger_pipeline.configuration.locations import dagster_home, store_root
from tiger_pipeline.configuration.presets import Presets, describe
from tiger_pipeline.configuration.reference import settings_reference
from tiger_pipeline.errors import TigerError
from tiger_pipeline.progress import PROGRESS_BAR_VARIABLE
from tiger_pipeline.storage.store import ArtifactStore

DATASET_ASSETS = (
    "items,interactions,item_texts,item_embeddings,warm_item_embeddings,baseline_metrics"
)
VARIANT_ASSETS = "codebooks,semantic_ids,cold_semantic_ids,generator,metrics,recommendations"
LEADERBOARD_ASSETS = "leaderboard"
"""One `dagster asset materialize` call takes assets of one partitions definition: hence three."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status (0: done, 1: failed, 2: wrong usage)."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except TigerError as error:
        print(f"tiger: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tiger", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run", help="materialize every asset of a dataset and a variant, then the leaderboard"
    )
    run.add_argument("dataset")
    run.add_argument("variant")
    run.add_argument(
        "--set",
        dest="overrides",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="override a setting in all stages, such as training.max_epochs=3 (repeatable)",
    )
    run.add_argument(
        "--log-level",
        choices=["DEBUG", "INFO", "WARNING"],
        default="INFO",
        help="DEBUG shows every Dagster event (default: %(default)s)",
    )
    run.set_defaults(run=_run)

    listing = commands.add_parser("list", help="list the datasets and variants that can be run")
    listing.set_defaults(run=_list)

    settings = commands.add_parser("settings", help="print the reference of all settings")
    settings.set_defaults(run=_settings)
    return parser


def _list(options: argparse.Namespace) -> int:
    presets = Presets()
    for title, files in (("datasets", presets.datasets()), ("variants", presets.variants())):
        print(f"{title}:")
        for name, path in files.items():
            print(f"  {name:<24} {describe(path)}")
    return 0


def _settings(options: argparse.Namespace) -> int:
    print(settings_reference(), end="")
    return 0


def _run(options: argparse.Namespace) -> int:
    Presets().settings(options.dataset, options.variant, options.overrides)
    chain = (
        (DATASET_ASSETS, options.dataset),
        (VARIANT_ASSETS, f"{options.dataset}|{options.variant}"),
        (LEADERBOARD_ASSETS, options.dataset),
    )
    for step, (assets, partition) in enumerate(chain, start=1):
        command = materialize_command(assets, partition, options.overrides, options.log_level)
        print(f"\n[{step}/{len(chain)}] {shlex.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command], env=_environment()).returncode:
            print(
                f"tiger: step {step} of {len(chain)} failed; the reason is above. What was "
                "finished is kept: run the same command again to go on from there.",
                file=sys.stderr,
            )
            return 1
    store = ArtifactStore(store_root())
    report = store.directory("metrics", options.dataset, options.variant) / "report.html"
    print(f"\nReport:      {report}")
    print(f"Leaderboard: {store.directory('leaderboard', options.dataset) / 'leaderboard.md'}")
    return 0


def materialize_command(
    assets: str, partition: str, overrides: Sequence[str] = (), log_level: str = "INFO"
) -> list[str]:
    """The `dagster asset materialize` call for some assets of one partition.

    Steps run in one process: starting a process for each costs more than most of them take.
    """
    config: dict[str, object] = {
        "execution": {"config": {"in_process": {}}},
        "loggers": {"console": {"config": {"log_level": log_level}}},
    }
    if overrides:
        config["resources"] = {"settings": {"config": {"overrides": list(overrides)}}}
    return [
        *("dagster", "asset", "materialize", "-m", "tiger_pipeline.definitions"),
        *("--select", assets, "--partition", partition, "--config-json", json.dumps(config)),
    ]


def _environment() -> dict[str, str]:
    """The environment of a Dagster call: runs recorded where the UI finds them, bars if watched."""
    environment = {"DAGSTER_HOME": str(dagster_home()), **os.environ}
    # `dg launch`, which the warning recommends, does not come with Dagster itself.
    environment.setdefault("PYTHONWARNINGS", "ignore:Function `asset_materialize_command`")
    if sys.stderr.isatty():
        environment[PROGRESS_BAR_VARIABLE] = "1"
    return environment


if __name__ == "__main__":
    sys.exit(main())
