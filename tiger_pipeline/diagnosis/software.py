"""Python and the packages that a run needs."""

import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from tiger_pipeline.diagnosis.devices import has_driver
from tiger_pipeline.diagnosis.finding import Finding
from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization.faiss_build import (
    check_faiss_build,
    faiss_gpu,
    installed_faiss,
    load_faiss,
)

_AREA = "Software"
PACKAGES = (
    "torch",
    "transformers",
    "sentence-transformers",
    "dagster",
    "dagster-webserver",
    "pyarrow",
    "numpy",
    "pandas",
)
_OLDEST_PYTHON, _NEWEST_PYTHON = (3, 10), (3, 14)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """The interpreter."""
    found = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if _OLDEST_PYTHON <= version[:2] <= _NEWEST_PYTHON:
        return Finding(_AREA, "Python", found)
    advice = "Use Python 3.10 to 3.14; scripts/run_demo.sh looks for one."
    return Finding(_AREA, "Python", found, "error", advice)


def check_packages(names: Sequence[str] = PACKAGES) -> Iterator[Finding]:
    """Versions of the packages, from their metadata: none is imported."""
    for name in names:
        try:
            yield Finding(_AREA, name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(
                _AREA,
                name,
                "not installed",
                "error",
                "Install the project again: pip install -e '.[cpu]' -c constraints.txt",
            )


def check_faiss(installed: Sequence[str] | None = None) -> Finding:
    """Which FAISS there is, whether it loads, and how many GPUs it finds.

    Args:
        installed: its distributions; default: those of this environment.
    """
    installed = installed_faiss() if installed is None else list(installed)
    found = " and ".join(installed) or "not installed"
    try:
        check_faiss_build(list(installed))
        faiss = load_faiss()
        gpus, used = faiss.get_num_gpus(), faiss_gpu()
    except ConfigurationError as error:
        return Finding(_AREA, "faiss", found, "error", str(error))
    except Exception as error:
        # A wheel whose libraries are missing or overwritten fails in as many ways.
        advice = f"Run `pip uninstall -y {' '.join(installed)}` and install one of them again."
        return Finding(_AREA, "faiss", f"{found}, cannot be imported ({error})", "error", advice)
    place = "the processor" if used is None else f"cuda:{used}"
    found = f"{found} {faiss.__version__}, finds {gpus} GPUs, will use {place}"
    if gpus or not has_driver():
        return Finding(_AREA, "faiss", found)
    advice = (
        "There is an NVIDIA driver, but k-means runs on the processor: run `pip uninstall "
        "faiss-cpu`, then install this project with the extra `gpu`."
    )
    return Finding(_AREA, "faiss", found, "warning", advice)
