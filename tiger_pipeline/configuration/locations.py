"""Folders that the pipeline reads from and writes to, each set by one environment variable."""

import os
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


def _base() -> Path:
    """The checkout, or the current folder where the package is installed without one."""
    return _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()


def store_root() -> Path:
    """Folder of the artifacts: `TIGER_STORE`, else `artifacts` in the checkout."""
    return Path(os.environ.get("TIGER_STORE") or _base() / "artifacts").expanduser().resolve()


def data_root() -> Path:
    """Folder of raw datasets: `TIGER_DATA`, else `data` in the checkout."""
    return Path(os.environ.get("TIGER_DATA") or _base() / "data").expanduser().resolve()


def dagster_home() -> Path:
    """Folder of Dagster's records: `DAGSTER_HOME`, else `dagster_home` in the checkout."""
    return Path(os.environ.get("DAGSTER_HOME") or _base() / "dagster_home").resolve()


def preset_folders() -> list[Path]:
    """Folders with `datasets/*.yaml` and `variants/*.yaml`: the package's, and `TIGER_CONFIG`."""
    folders = [Path(__file__).resolve().parent]
    if own := os.environ.get("TIGER_CONFIG"):
        folders.append(Path(own).expanduser().resolve())
    return folders
