"""A PostgreSQL server for the time of a process: without a network, in a directory that goes with it."""

from __future__ import annotations

import atexit
import glob
import os
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import psycopg

PATIENCE_S = 30
MISSING = (
    "there is no PostgreSQL here: install the package postgresql (Debian, Ubuntu), or set FENCEPOST_POSTGRES to a connection"
)


class NoServer(Exception):
    """A server that could not be started."""


@cache
def conninfo() -> str:
    """How to connect: as FENCEPOST_POSTGRES says, or to a server that is started here. Raises `NoServer`."""
    return os.environ.get("FENCEPOST_POSTGRES") or _started()


def program(name: str) -> str:
    """The path of a program of PostgreSQL. Raises `NoServer`."""
    # Debian keeps them out of the way
    places = os.pathsep.join([os.environ.get("PATH", ""), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)])
    found = shutil.which(name, path=places)
    if found is None:
        raise NoServer(MISSING)
    return found


def _started() -> str:
    postgres, initdb = program("postgres"), program("initdb")
    directory = Path(tempfile.mkdtemp(prefix="fencepost-postgres-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    # root may not run it
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(directory, user)
    _run([initdb, "-D", str(directory / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], directory, user)
    settings = {"listen_addresses": "", "unix_socket_directories": str(directory), "fsync": "off", "full_page_writes": "off"}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen([postgres, "-D", str(directory / "data"), *words], stdout=log, stderr=log, user=user, cwd="/")
    atexit.register(_ended, server)
    found = f"host={directory} user=postgres dbname=postgres"
    _wait_for(found, server, directory / "log")
    return found


def _run(command: list[str], directory: Path, user: str | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, user=user, cwd="/", check=False)
    if done.returncode:
        raise NoServer(f"{command[0]} failed in {directory}: {(done.stderr.strip().splitlines() or [''])[-1]}")


def _wait_for(found: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            psycopg.connect(found).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
                raise NoServer(f"PostgreSQL does not answer: {last or error}") from error
            time.sleep(0.05)


def _ended(server: subprocess.Popen[bytes]) -> None:
    # SIGINT: the fast shutdown, which asks no client
    server.send_signal(2)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
