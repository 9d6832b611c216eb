"""`tiger`: the commands a person types."""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tiger_pipeline.configuration.locations import dagster_home, open_store
from tiger_pipeline.configuration.overrides import add_overrides
from tiger_pipeline.configuration.presets import Presets, describe
from tiger_pipeline.configuration.reference import settings_reference
from tiger_pipeline.errors import TigerError
from tiger_pipeline.progress import PROGRESS_BAR_VARIABLE, TerminalProgress

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
        "run", help="materialize every asset of a dataset and some variants, then the leaderboard"
    )
    run.add_argument("dataset")
    run.add_argument("variants", metavar="variant", nargs="+")
    add_overrides(run)
    run.add_argument(
        "--log-level",
        choices=["DEBUG", "INFO", "WARNING"],
        default="INFO",
        help="DEBUG shows every Dagster event (default: %(default)s)",
    )
    run.set_defaults(run=_run)

    _add_documents(commands)
    _add_recommend(commands)
    _add_doctor(commands)

    listing = commands.add_parser("list", help="list the datasets and variants that can be run")
    listing.set_defaults(run=_list)

    settings = commands.add_parser("settings", help="print the reference of all settings")
    settings.set_defaults(run=_settings)
    return parser


def _add_documents(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands that write up what runs found."""
    study = commands.add_parser(
        "study", help="write up the study of quantizers from its nine rows' finished runs"
    )
    study.add_argument("dataset")
    study.add_argument("--out", type=Path, default=Path("docs/study.md"), metavar="FILE")
    study.set_defaults(run=_study)

    results = commands.add_parser(
        "results", help="write up generators and baselines from finished runs"
    )
    results.add_argument("datasets", metavar="dataset", nargs="+")
    results.add_argument(
        "--variants",
        metavar="NAME,…",
        type=lambda names: names.split(","),
        help="the rows, each with its repeats (default: one variant a generator)",
    )
    results.add_argument("--out", type=Path, default=Path("docs/results.md"), metavar="FILE")
    results.set_defaults(run=_results)

    sweep = commands.add_parser(
        "sweep", help="vary one setting, measure every point, draw and write up what it does"
    )
    sweep.add_argument("name", help="such as commitment_weight; an unknown one lists all")
    sweep.add_argument("dataset")
    sweep.add_argument("variant", nargs="?", help="default: the sweep's own")
    sweep.add_argument(
        "--values",
        metavar="NUMBER,…",
        type=lambda numbers: [float(number) for number in numbers.split(",")],
        help="points (default: the sweep's own)",
    )
    add_overrides(sweep)
    sweep.add_argument("--out", type=Path, metavar="FILE", help="default: docs/sweeps/NAME.md")
    sweep.set_defaults(run=_sweep)


def _add_recommend(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    recommend = commands.add_parser(
        "recommend", help="ask a finished generator what comes next after some items"
    )
    recommend.add_argument("--dataset", required=True)
    recommend.add_argument("--variant", required=True)
    recommend.add_argument(
        "--history",
        required=True,
        metavar="ITEM,ITEM,…",
        help="item ids, oldest first",
    )
    recommend.add_argument("--top-k", type=int, default=10, help="(default: %(default)s)")
    recommend.add_argument(
        "--epsilon",
        type=float,
        help="largest share of cold-start items (default: evaluation.epsilon)",
    )
    recommend.add_argument(
        "--available", type=Path, metavar="FILE", help="item ids, one a line: only these"
    )
    for name, meaning in (("only", "at least one must hold"), ("never", "none may hold")):
        recommend.add_argument(
            f"--{name}",
            metavar="FIELD=TEXT",
            action="append",
            default=[],
            help=f"rule on an item's field; {meaning} (repeatable)",
        )
    recommend.set_defaults(run=_recommend)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser(
        "doctor", help="show what was found here, what will be used, and what is wrong"
    )
    doctor.add_argument(
        "datasets", metavar="dataset", nargs="*", help="to be run: what it lacks is an error"
    )
    doctor.add_argument("--json", action="store_true", help="for machines")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from tiger_pipeline.diagnosis.doctor import as_json, as_table, diagnose, is_runnable

    findings = list(diagnose(options.datasets))
    width = shutil.get_terminal_size().columns
    print(as_json(findings) if options.json else as_table(findings, width))
    return 0 if is_runnable(findings) else 1


def _recommend(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    from tiger_pipeline.workflows.item_filter import ItemFilter
    from tiger_pipeline.workflows.serving import load_recommender

    item_filter = ItemFilter(options.available, options.only, options.never)
    recommender = load_recommender(options.dataset, options.variant, item_filter)
    loaded = time.perf_counter()
    history = [item.strip() for item in options.history.split(",") if item.strip()]
    found = recommender.recommend(history, options.top_k, options.epsilon)
    answered = time.perf_counter()
    print("After:")
    for item_id in history:
        print(f"      {item_id}  {recommender.catalog.title(item_id)}")
    print("Next:")
    for item in found:
        mark = " (cold start)" if item.is_cold_start else ""
        print(f"  {item.rank:>3} {item.item_id}  {item.title}{mark}  {item.score:.3f}")
    print(f"Loaded in {loaded - started:.2f} s, answered in {answered - loaded:.3f} s.")
    return 0


def _list(options: argparse.Namespace) -> int:
    presets = Presets()
    print("datasets:")
    for name, path in presets.datasets().items():
        print(f"  {name:<30} {describe(path)}")
    print("variants:")
    for name, variant in presets.variants().items():
        if variant.repeat:
            print(f"    {name}")
        else:
            print(f"  {name:<30} {describe(variant.path)}")
    return 0


def _settings(options: argparse.Namespace) -> int:
    print(settings_reference(), end="")
    return 0


def _study(options: argparse.Namespace) -> int:
    from tiger_pipeline.evaluation.study_findings import STUDY_ROWS
    from tiger_pipeline.workflows.study import write_study

    variants = Presets().with_repeats(STUDY_ROWS)
    write_study(open_store(), options.dataset, variants, options.out)
    print(f"Study: {options.out}")
    return 0


def _results(options: argparse.Namespace) -> int:
    from tiger_pipeline.workflows.results import GENERATOR_ROWS, write_results

    variants = Presets().with_repeats(options.variants or GENERATOR_ROWS)
    write_results(open_store(), options.datasets, variants, options.out)
    print(f"Results: {options.out}")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from tiger_pipeline.workflows.sweep import find_sweep, run_sweep
    from tiger_pipeline.workflows.sweep_document import write_sweep

    sweep, presets = find_sweep(options.name), Presets()
    variant = options.variant or sweep.variant
    points = run_sweep(
        options.name,
        options.dataset,
        variant,
        options.values or sweep.values,
        lambda point: presets.settings(options.dataset, variant, [*options.overrides, point]),
        open_store(),
        TerminalProgress(),
    )
    out = options.out or Path("docs/sweeps") / f"{options.name}.md"
    write_sweep(options.name, options.dataset, variant, points, out)
    print(f"Sweep: {out}")
    return 0


def _run(options: argparse.Namespace) -> int:
    for variant in options.variants:
        Presets().settings(options.dataset, variant, options.overrides)
    chain = [
        (DATASET_ASSETS, options.dataset),
        *((VARIANT_ASSETS, f"{options.dataset}|{variant}") for variant in options.variants),
        (LEADERBOARD_ASSETS, options.dataset),
    ]
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
    store = open_store()
    print()
    for variant in options.variants:
        report = store.directory("metrics", options.dataset, variant) / "report.html"
        print(f"Report:      {report}")
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
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    environment = {"DAGSTER_HOME": str(home), **os.environ}
    # `dg launch`, which the first recommends, does not come with Dagster itself; Dagster gives the
    # second for an argument that only its own code passes.
    ignored = ("Function `asset_materialize_command`", "Parameter `owners` of initializer")
    environment.setdefault("PYTHONWARNINGS", ",".join(f"ignore:{start}" for start in ignored))
    if sys.stderr.isatty():
        environment[PROGRESS_BAR_VARIABLE] = "1"
    return environment


if __name__ == "__main__":
    sys.exit(main())
