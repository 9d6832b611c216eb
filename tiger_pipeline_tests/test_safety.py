"""What SECURITY.md promises about the code."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.storage.store import ArtifactStore

CHECKOUT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("tiger_pipeline", "benchmarks", "scripts", "docker")
    for path in (CHECKOUT / folder).rglob("*.py")
)
COMPOSE_FILES = sorted((CHECKOUT / "docker").rglob("*compose*.y*ml"))

_UNPICKLING = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
_UNPACKING = {"tarfile", "zipfile"}
_RUNNING_TEXT = {"eval", "exec", "compile", "__import__"}
_CALLS = {
    "torch.load",
    "yaml.load",
    "yaml.full_load",
    "yaml.unsafe_load",
    "os.system",
    "os.popen",
    "shutil.unpack_archive",
    "pandas.read_pickle",
    "pd.read_pickle",
}
_ARGUMENTS = {"allow_pickle", "shell", "trust_remote_code"}


def dangers(source: str) -> Iterator[str]:
    """What in a Python source could run code that comes with data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported = {alias.name.partition(".")[0] for alias in node.names}
            yield from imported & (_UNPICKLING | _UNPACKING)
        elif isinstance(node, ast.ImportFrom):
            yield from {(node.module or "").partition(".")[0]} & (_UNPICKLING | _UNPACKING)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            yield from {called} & (_RUNNING_TEXT | _CALLS)
            for keyword in node.keywords:
                if keyword.arg in _ARGUMENTS and ast.unparse(keyword.value) != "False":
                    yield keyword.arg
        elif isinstance(node, ast.FormattedValue) and ast.unparse(node.value) == "os.environ":
            yield "os.environ"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_data_is_run_or_unpickled(path: Path):
    assert list(dangers(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import tarfile as t",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run(text, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=trust)",
        "log(f'{os.environ}')",
    ],
)
def test_the_search_finds_what_it_is_to_find(source: str):
    assert list(dangers(source))


def test_what_is_harmless_is_not_found():
    assert not list(dangers("model.eval()\nre.compile('x')\nnp.load(path, allow_pickle=False)"))


@pytest.mark.parametrize("name", ["..", "../outside", "/etc", "a/b", "", ".", "a\\b", "é", "a\n"])
@pytest.mark.parametrize("kind", ["table", "directory", "resumable"])
def test_no_partition_leaves_the_store(name: str, kind: str):
    store = ArtifactStore(Path("/store"))
    with pytest.raises(ConfigurationError):
        getattr(store, kind)("generator", "demo", name)
    with pytest.raises(ConfigurationError):
        getattr(store, kind)(name, "demo")


@pytest.mark.parametrize("folder", ["..", "../../etc", "/etc", "a/../../b", ".", ""])
def test_no_rejected_row_leaves_the_datasets_folder(folder: str):
    from tiger_pipeline.catalog.config import IncomingConfig

    with pytest.raises(ValueError, match="inside the dataset's"):
        IncomingConfig(folder=folder)


def test_secrets_of_the_environment_are_not_shown(tmp_path: Path):
    secrets = {
        name: f"do-not-show-{name}"
        for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "DAGSTER_POSTGRES_PASSWORD")
    }
    done = subprocess.run(
        [sys.executable, "-m", "tiger_pipeline.cli", "doctor", "--json"],
        env={**os.environ, **secrets, "TIGER_STORE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["findings"]
    assert "do-not-show" not in done.stdout + done.stderr


def test_the_webserver_listens_on_the_loopback_address_unless_told_otherwise():
    from dagster_webserver.cli import dagster_webserver

    host = next(option for option in dagster_webserver.params if option.name == "host")
    assert host.default == "127.0.0.1"


@pytest.mark.parametrize("path", [CHECKOUT / "README.md", *sorted(CHECKOUT.glob("scripts/*.sh"))])
def test_no_documented_command_listens_on_every_address(path: Path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(--host|-h)[ =]+(0\.0\.0\.0|::)", text)


class ComposeLoader(yaml.SafeLoader):
    """YAML with the tags of compose files, such as `!reset`, which are of no interest here."""


def untagged(loader: ComposeLoader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else node.value


ComposeLoader.add_multi_constructor("!", untagged)


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_only_a_proxy_with_a_login_is_reached_from_other_machines(path: Path):
    described = yaml.load(path.read_text(encoding="utf-8"), Loader=ComposeLoader)
    services = {name: of for name, of in described["services"].items() if name != "proxy"}
    published = [str(port) for service in services.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
