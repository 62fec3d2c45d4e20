"""What one call costs, and how many calls a second thirty-two threads make through one gateway."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from . import clients
from .measure import Effort, Row, Sample, counted, interleaved, micros, ratios, row
from .upstream import Upstream

CALLS, THREADED_CALLS, THREADS = 150, 1_200, 32
TARGET, TARGET_FAST, TARGET_THREADS = 0.62, 0.56, 1.9


def rows(effort: Effort, *, fast: bool) -> Iterator[Row]:
    """Measure calls; ``fast`` says that orjson reads them."""
    with Upstream() as upstream:
        yield from _cpu(effort, upstream.url, TARGET_FAST if fast else TARGET)
        yield from _threaded(effort, upstream.url)


def _cpu(effort: Effort, url: str, target: float) -> Iterator[Row]:
    often = effort.of(CALLS)
    calls: dict[str, clients.Call] = {}
    for name in clients.NAMES:
        calls[f"requests.Session, {name}"] = clients.session_call(url, name)
        calls[f"gateway.call, {name}"] = clients.gateway_call(url, name)
    calls["urllib3"] = clients.urllib3_call(url, "chat")
    calls["raw socket"] = clients.socket_call(url, "chat")
    calls |= clients.peer_calls(url)
    taken = interleaved({name: counted(call, often) for name, call in calls.items()}, effort.rounds)
    for name, seen in taken.items():
        protocol = name.rpartition(", ")[2]
        unit = taken.get(f"requests.Session, {protocol}") or taken["requests.Session, chat"]
        ours = name.startswith("gateway")
        yield row("CPU of a call", name, ratios(seen, unit), own=micros(seen), target=target if ours else None)


def _threaded(effort: Effort, url: str) -> Iterator[Row]:
    often = effort.of(THREADED_CALLS)
    calls = {
        "requests.Session": clients.session_call(url, "chat"),
        "gateway.call": clients.gateway_call(url, "chat"),
        "urllib3": clients.urllib3_call(url, "chat"),
        "raw socket": clients.socket_call(url, "chat"),
    }
    taken = interleaved({name: per_second(call, THREADS, often) for name, call in calls.items()}, effort.rounds)
    for name, seen in taken.items():
        target = TARGET_THREADS if name.startswith("gateway") else None
        own = f"{sorted(seen)[len(seen) // 2]:.0f}/s"
        yield row(
            f"calls/s, {THREADS} threads", name, ratios(seen, taken["requests.Session"]), own=own, target=target, at_least=True
        )


def per_second(call: clients.Call, threads: int, often: int) -> Sample:
    """Give the sample of a call made from many threads at once: how many come back in a second."""

    def sample() -> float:
        left, start = iter(range(often)), threading.Barrier(threads + 1)

        def work() -> None:
            call()  # its connection is opened before the clock runs
            start.wait()
            for _ in left:  # one counter for all: next() is one step of C
                call()

        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        start.wait()
        began = time.perf_counter()
        for thread in running:
            thread.join()
        return often / (time.perf_counter() - began)

    return sample
