"""A Redis server for the time of a process: without a network, in a directory that goes with it."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

PATIENCE_S = 20
MISSING = "there is no redis-server here: install the package redis-server, or set FENCEPOST_REDIS to a URL"


class NoServer(Exception):
    """A server that could not be started."""


@cache
def client() -> Redis:
    """A client of the server at FENCEPOST_REDIS, or of one that is started here. Raises `NoServer`."""
    url = os.environ.get("FENCEPOST_REDIS")
    return Redis.from_url(url) if url else _started()


def _started() -> Redis:
    program = shutil.which("redis-server")
    if program is None:
        raise NoServer(MISSING)
    directory = Path(tempfile.mkdtemp(prefix="fencepost-redis-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    socket = directory / "socket"
    words = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", str(directory)]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen([program, *words], stdout=log, stderr=log)
    atexit.register(_ended, server)
    found = Redis(unix_socket_path=str(socket))
    _wait_for(found, server, directory / "log")
    return found


def _wait_for(found: Redis, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found.ping()
            return
        except RedisError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
                raise NoServer(f"redis-server does not answer: {last or error}") from error
            time.sleep(0.02)


def _ended(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
