"""A real Postgres server in a temporary folder."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.waiting import free_port, wait_until

USER, DATABASE, PASSWORD = "tiger", "dagster", "only for this check"


def find_binaries() -> Path | None:
    """Folder of initdb and postgres: `TIGER_POSTGRES_BIN`, else Debian's newest, else of `PATH`."""
    if named := os.environ.get("TIGER_POSTGRES_BIN"):
        return Path(named)
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(installed, key=lambda path: int(path.parts[-3]))
    if newest:
        return newest[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def running_postgres(binaries: Path) -> Iterator[int]:
    """Serve an empty database on 127.0.0.1 until the block ends; gives the port.

    The server refuses to run as root: a root user's server runs as `postgres`, or as `nobody`.
    """
    identity = _identity()
    folder = Path(tempfile.mkdtemp(prefix="tiger_postgres_"))
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    server = None
    try:
        port = free_port()
        _initialize(binaries, folder, identity)
        with open(folder / "log", "w") as log:
            server = subprocess.Popen(
                [
                    *(binaries / "postgres", "-D", folder / "data", "-p", str(port)),
                    *(
                        "-c",
                        "listen_addresses=127.0.0.1",
                        "-c",
                        f"unix_socket_directories={folder}",
                    ),
                ],
                cwd="/",
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **identity,
            )
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        place = ["-h", "127.0.0.1", "-p", str(port), "-U", USER]
        wait_until(
            lambda: _succeeds([binaries / "pg_isready", *place]), "Postgres accepts connections", 60
        )
        subprocess.run([binaries / "createdb", *place, DATABASE], env=environment, check=True)
        yield port
    finally:
        if server:
            server.send_signal(signal.SIGINT)  # ends sessions and shuts down in order
            server.wait(timeout=60)
        shutil.rmtree(folder)


def _initialize(binaries: Path, folder: Path, identity: dict[str, int]) -> None:
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    if identity:
        os.chown(password_file, identity["user"], identity["group"])
    subprocess.run(
        [
            *(binaries / "initdb", "-D", folder / "data", "-U", USER, "--encoding=UTF8"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync", "--no-locale"),
        ],
        cwd="/",
        stdout=subprocess.DEVNULL,
        check=True,
        **identity,
    )


def _identity() -> dict[str, int]:
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid}


def _succeeds(command: list[object]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0  # type: ignore[call-overload]
