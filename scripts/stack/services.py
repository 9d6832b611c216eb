"""The services of docker/compose.yaml, started by hand: their commands, settings and probes."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stack import postgres
from stack.waiting import CheckFailed, free_port, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
DOCKER = CHECKOUT / "docker"
STOPS_WITHIN = 15.0
"""Seconds."""


@dataclass
class Service:
    """One container's process. What it starts stays in its process group, as in a container."""

    name: str
    command: list[str]
    probe: list[str] | None
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.environment["DAGSTER_HOME"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether its main process lives."""
        return self.process is not None and self.process.poll() is None

    def healthy(self) -> bool:
        """Whether the container's health check passes."""
        assert self.probe is not None
        done = subprocess.run(self.probe, env=self.environment, capture_output=True, text=True)
        return done.returncode == 0

    def kill(self) -> None:
        """`kill -9` of the main process; with it, a container's other processes go too."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, as `docker stop` does, and end what is left of its group."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOPS_WITHIN)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Stack:
    """All services of the compose file but Postgres, in a temporary folder.

    Attributes:
        folder: holds home/ (DAGSTER_HOME), store/ (artifacts), logs/.
        postgres_port: of the database.
    """

    folder: Path
    postgres_port: int
    services: dict[str, Service] = field(default_factory=dict)
    web_port: int = field(default_factory=free_port)
    code_port: int = field(default_factory=free_port)

    @property
    def store(self) -> Path:
        """Folder of the artifacts."""
        return self.folder / "store"

    def prepare(self) -> None:
        """Lay out the folder and read the compose file."""
        for name in ("home", "store", "logs", "data", "presets", "models"):
            (self.folder / name).mkdir()
        for name in ("dagster.yaml", "workspace.yaml"):
            (self.folder / "home" / name).write_bytes((DOCKER / name).read_bytes())
        compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
        for name, service in compose["services"].items():
            if name != "postgres":
                self.services[name] = self._service(name, service)

    def _service(self, name: str, service: dict[str, Any]) -> Service:
        test = service["healthcheck"].get("test")
        return Service(
            name,
            self._command(service["command"]),
            self._command(test[1:]) if test else None,
            self._environment(service["environment"]),
            self.folder / "logs" / f"{name}.log",
        )

    def _command(self, words: list[str]) -> list[str]:
        """A container's command with this machine's addresses and paths."""
        here = {
            "0.0.0.0": "127.0.0.1",
            "=4000": f"={self.code_port}",
            "=3000": f"={self.web_port}",
            ":3000/": f":{self.web_port}/",
            "/var/lib/dagster": str(self.folder / "home"),
        }
        replaced = []
        for word in words:
            for there, own in here.items():
                word = word.replace(there, own)
            replaced.append(word)
        program = Path(sys.executable).with_name(replaced[0])
        return [str(program), *replaced[1:]]

    def _environment(self, shipped: dict[str, Any]) -> dict[str, str]:
        """A container's variables with this machine's addresses and paths, and nothing else's."""
        here = {
            "DAGSTER_HOME": str(self.folder / "home"),
            "TIGER_COMPUTE_LOGS": str(self.folder / "home" / "compute_logs"),
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(self.postgres_port),
            "POSTGRES_USER": postgres.USER,
            "POSTGRES_DB": postgres.DATABASE,
            "POSTGRES_PASSWORD": postgres.PASSWORD,
            "TIGER_CODE_HOST": "127.0.0.1",
            "TIGER_CODE_PORT": str(self.code_port),
            "TIGER_STORE": str(self.store),
            "TIGER_DATA": str(self.folder / "data"),
            "TIGER_CONFIG": str(self.folder / "presets"),
            "TIGER_TIMEZONE": "UTC",
            "HF_HOME": str(self.folder / "models"),
        }
        named = {
            name: here.get(name, value) for name, value in shipped.items() if value is not None
        }
        return {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "HOME": str(self.folder),  # Dagster writes an identifier there
            "PYTHONPATH": str(CHECKOUT),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            **named,
        }

    def migrate(self) -> None:
        """Run the service that ends."""
        migrate = self.services["migrate"]
        migrate.start()
        assert migrate.process is not None
        if migrate.process.wait() != 0:
            raise CheckFailed(f"The service migrate failed:\n{migrate.log.read_text()}")

    def start(self, name: str, within: float) -> None:
        """Start a service and wait until its health check passes."""
        service = self.services[name]
        service.start()
        wait_until(
            service.healthy, f"the service {name} is healthy", within, lambda: service.running
        )

    def stop(self) -> None:
        """Stop all services, those first that depend on others."""
        for service in reversed(self.services.values()):
            service.stop()
