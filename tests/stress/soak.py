"""A long day of one gateway: ``python tests/stress/soak.py CALLS STREAMS`` prints what was left behind, as JSON.

The provider is a process of its own, and treats one request in a hundred with each of its faults. The state's clock runs twenty
times as fast, so that its windows and rests come and go. What was charged is added up beside the budget.
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from omnillm.config import KeyConfig
from omnillm.errors import OmniLLMError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.gateway.gateway import Gateway
from omnillm.policy.limits import Budget, PoolConfig
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.state.memory import MemoryState
from omnillm.testing import LocalProvider, break_stream, delay, fail, hang, malformed
from omnillm.types.enums import ProviderProtocol

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
THREADS, KEYS = 8, 4
TIMES_AS_FAST = 20.0
PATIENCE_S = 0.5
BUDGET_USD = 10_000.0
FAULTS: list[Any] = [
    fail(400),
    fail(429, retry_after=0.0),
    fail(500),
    fail(503),
    break_stream(0, how="cut"),
    break_stream(2, how="reset"),
    break_stream(2, how="error_event"),
    break_stream(3, how="no_terminal"),
    break_stream(2, how="hang"),
    malformed(b"<html>"),
    hang(),
]


def provide(requests: int) -> None:
    """Serve until the standard input ends; each fault comes once in every hundred requests, and at last it is told how often."""
    rng = random.Random(1)
    with LocalProvider() as provider:
        for _ in range(requests // 100 + 1):
            plain = 100 - len(FAULTS)
            for fault in rng.sample(FAULTS, len(FAULTS)):
                share = rng.randint(0, plain)
                plain -= share
                provider.script(*([delay(0.0, times=share)] if share else []), fault)
            if plain:
                provider.script(delay(0.0, times=plain))
        print(provider.base_url, flush=True)

        def forget() -> None:
            while True:
                time.sleep(1)
                provider._requests.clear()  # they would be all of this process's memory

        threading.Thread(target=forget, daemon=True).start()
        sys.stdin.read()
        left = Counter(repr(scripted.step) for scripted in provider._script)
        print(json.dumps({told(fault): requests // 100 + 1 - left[repr(fault)] for fault in FAULTS}))


def told(fault: Any) -> str:
    """Name a fault."""
    return " ".join([type(fault).__name__, *(str(getattr(fault, name)) for name in ("status", "how") if hasattr(fault, name))])


class FastClock:
    """The machine's clock, as seen by somebody slow."""

    def monotonic(self) -> float:
        return time.monotonic() * TIMES_AS_FAST

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / TIMES_AS_FAST)

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        return event.wait(timeout)


class AddingState(MemoryState):
    """Add up every charge, apart from the books."""

    charged = settled = 0

    def _settled(self, held: Any, settlement: Any, *rest: Any) -> None:
        super()._settled(held, settlement, *rest)
        self.charged += max(0, settlement.charge)
        self.settled += 1


class Jobs:
    """Give numbers to threads, each once."""

    def __init__(self, first: int, end: int) -> None:
        self._lock, self._numbers = threading.Lock(), iter(range(first, end))

    def __iter__(self) -> Jobs:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._numbers)


class Soak:
    """Make the calls, from several threads."""

    def __init__(self, base_url: str, calls: int, streams: int) -> None:
        self.store = AddingState(clock=FastClock(), rng=random.Random(2))
        builder = GatewayBuilder(ProviderEndpoint(CHAT.value, f"{base_url}/v1"))
        builder.default_model("m").state(self.store).budget(Budget(BUDGET_USD)).timeouts(idle=PATIENCE_S, first_byte=PATIENCE_S)
        builder.add_keys(KeyConfig(f"sk-{n}", f"k{n}", rpm_limit=10**6, tpm_limit=10**9) for n in range(KEYS))
        builder.pricing(PriceTable({"m": {"input": 1.0, "output": 3.0}})).retry(RetryPolicy(base=0.002))
        builder.pool_config(PoolConfig(acquire_timeout=5.0))
        self.gateway: Gateway = builder.build()
        self.ends: Counter[str] = Counter()
        self.paid = [0.0] * THREADS
        self.jobs = Jobs(0, 0)
        self.is_stream = {int(n * (calls + streams) / streams) for n in range(streams)} if streams else set()

    def run(self) -> None:
        threads = [threading.Thread(target=self.work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def work(self, number: int) -> None:
        for job in self.jobs:
            try:
                if job in self.is_stream:
                    self.abandon(job)
                    self.ends["abandoned"] += 1
                else:
                    response = self.gateway.call(f"question {job}", timeout=PATIENCE_S, max_output_tokens=20)
                    assert response.text == f"echo: question {job}"
                    self.paid[number] += response.cost_usd or 0.0
                    self.ends["ok"] += 1
            except OmniLLMError as error:
                self.ends[type(error).__name__] += 1
            except BaseException as error:
                self.ends[f"not ours: {error!r:.200}"] += 1
                return

    def abandon(self, job: int) -> None:
        """Leave a stream before its end, in one of the ways there are."""
        stream = self.gateway.stream("one two three four five six seven", max_output_tokens=20)
        for _ in range(job % 4):
            next(stream)
        if job % 3 == 0:
            stream.close()
        elif job % 3 == 1:
            knot: list[Any] = [stream]
            knot.append(knot)


def resident() -> int:
    """Give the memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def main(calls: int, streams: int) -> None:
    """Soak, and tell."""
    command = [sys.executable, __file__, "--provide", str(4 * (calls + streams))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        before = threading.active_count(), descriptors()
        soak = Soak(server.stdout.readline().strip(), calls, streams)
        began, total = time.monotonic(), calls + streams
        marks = []
        for soak.jobs in (Jobs(0, total // 5), Jobs(total // 5, total)):  # the first are to warm up
            soak.run()
            gc.collect()
            soak.gateway.pool_status()
            marks.append(resident())
        snapshot = soak.store.snapshot()
        soak.gateway.close()
        report = {
            "calls": calls,
            "streams": streams,
            "seconds": round(time.monotonic() - began, 1),
            "ends": dict(soak.ends),
            "held": [snapshot.held_requests, snapshot.held_tokens, snapshot.budgets[0].reserved],
            "used": snapshot.budgets[0].used,
            "charged": soak.store.charged,
            "settled": soak.store.settled,
            "paid_usd": sum(soak.paid),
            "grown": marks[1] - marks[0],
            "reading": len(soak.gateway._core.reading),
            "in_flight": soak.gateway._core.allowance.in_flight,
            "threads": threading.active_count() - before[0],
            "descriptors": descriptors() - before[1],
        }
        assert server.stdin is not None
        server.stdin.close()
        report["faults"] = json.loads(server.stdout.readline())
    print(json.dumps(report))


if __name__ == "__main__":
    if sys.argv[1] == "--provide":
        provide(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]), int(sys.argv[2]))
