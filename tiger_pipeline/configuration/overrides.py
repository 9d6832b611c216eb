"""The option `--set` of commands that follow the settings of a dataset or variant."""

import argparse


def add_overrides(command: argparse.ArgumentParser) -> None:
    """Add `--set SECTION.KEY=VALUE`, whose values `Presets.settings` takes as `overrides`."""
    command.add_argument(
        "--set",
        dest="overrides",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="override a setting in all stages, such as training.max_epochs=3 (repeatable)",
    )
