"""No code of the user's, no socket, no sleep and no line of a log under a lock; no thread that nobody asked for."""

from __future__ import annotations

import logging
import random
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from gateway_fixtures import DOLLAR_A_TOKEN, MODEL, endpoint_of

from omnillm import CancellationToken, tool
from omnillm.config import KeyConfig
from omnillm.errors import BudgetExceededError, OmniLLMError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.gateway.gateway import Gateway
from omnillm.policy.limits import PoolConfig
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, break_stream, delay, fail

pytestmark = pytest.mark.stress

_RLOCK = threading.RLock
SOCKET_CALLS = ("connect", "connect_ex", "send", "sendall", "recv", "recv_into", "shutdown", "close")


class Held(threading.local):
    """The locks of the library that this thread holds."""

    def __init__(self) -> None:
        self.names: list[str] = []


class WatchedLock:
    """A lock that says who holds it."""

    def __init__(self, held: Held, name: str) -> None:
        self._lock, self._held, self._name = _RLOCK(), held, name

    def acquire(self, *args: Any) -> bool:
        taken = self._lock.acquire(*args)
        if taken:
            self._held.names.append(self._name)
        return taken

    def release(self) -> None:
        self._held.names.remove(self._name)
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        return self._lock._is_owned()  # type: ignore[attr-defined]


class Watch:
    """Note what is entered while a lock is held."""

    def __init__(self) -> None:
        self.held = Held()
        self.entered: set[str] = set()
        self.faults: set[str] = set()
        self.locks: set[str] = set()

    def lock(self) -> Any:
        """Give a watched lock to the library, and any other to everybody else."""
        frame = sys._getframe(1)
        module = frame.f_globals["__name__"]
        if not module.startswith("omnillm.") or module.startswith("omnillm.testing"):
            return _RLOCK()
        name = f"{module}:{frame.f_lineno}"
        self.locks.add(module)
        return WatchedLock(self.held, name)

    def enter(self, what: str) -> None:
        self.entered.add(what)
        self.faults |= {f"{what} under {name}" for name in self.held.names}

    def watching(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.enter(what)
            return call(*args, **kwargs)

        return watched


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(threading, "RLock", watch.lock)
    for name in SOCKET_CALLS:
        monkeypatch.setattr(socket.socket, name, watch.watching("a socket", getattr(socket.socket, name)))
    monkeypatch.setattr(logging.Logger, "handle", watch.watching("a log", logging.Logger.handle))
    return watch


def test_p19_no_user_code_io_sleep_or_log_under_a_lock(watch: Watch) -> None:
    """Hooks, tools, callbacks, sockets, sleeps, waits and logs are entered with no lock of ours held, whatever happens."""
    clock = FakeClock(auto_advance=True)
    for name in ("sleep", "wait"):
        setattr(clock, name, watch.watching(f"a {name}", getattr(clock, name)))

    def hook(_: object) -> None:
        watch.enter("a hook")
        raise LookupError  # which is logged

    @tool
    def look() -> str:
        """Look."""
        watch.enter("a tool")
        return "seen"

    with LocalProvider() as provider:
        builder = GatewayBuilder(endpoint_of(provider)).default_model(MODEL).on_event(hook)
        builder.add_keys(KeyConfig(f"sk-{n}", rpm_limit=40) for n in range(2)).pool_config(PoolConfig(acquire_timeout=10**6))
        builder.pricing(PriceTable(DOLLAR_A_TOKEN)).budget_limit_usd(1_000_000).retry(RetryPolicy(base=0.01))
        with Gateway(builder.config(), clock=clock, rng=random.Random(1)) as gateway:
            _use(gateway, provider, watch, [look])
    assert watch.faults == set()
    assert watch.entered >= {"a socket", "a log", "a sleep", "a wait", "a hook", "a tool", "a callback"}
    assert watch.locks >= {"omnillm.state.memory", "omnillm.policy.allowance", "omnillm.gateway.workers"}


def _use(gateway: Gateway, provider: LocalProvider, watch: Watch, tools: list[Any]) -> None:
    """Have a call end in every way that there is."""
    gateway.call("hi")
    provider.script(fail(500), fail(429, retry_after=0.5))
    gateway.call("hi")
    provider.script(break_stream(4, how="cut"))
    with pytest.raises(OmniLLMError):
        list(gateway.stream("a b c d e f"))
    next(gateway.stream("a b c"))
    gateway.run_tools("call look with {}", tools)
    token = CancellationToken()
    provider.script(delay(0.1))
    future = gateway.submit("hi", cancel=token)
    future.add_done_callback(lambda _: watch.enter("a callback"))
    token.cancel()
    future.exception(5)
    assert len(list(gateway.map(["hi"] * 90, concurrency=2, timeout=10**6))) == 90  # more than the keys take in a minute
    with pytest.raises(BudgetExceededError):
        gateway.call("hi", max_output_tokens=2_000_000)


def test_p22_no_background_thread_unless_asked_for() -> None:
    """Calls and streams, retried, left and lost, are made by the caller's thread alone; close ends those of submit."""
    with LocalProvider() as provider:
        builder = GatewayBuilder(endpoint_of(provider)).default_model(MODEL).add_keys([KeyConfig("sk-1"), KeyConfig("sk-2")])
        gateway = builder.retry(RetryPolicy(base=0.001)).build()
        ours = lambda: {thread for thread in threading.enumerate() if not thread.name.startswith("local-provider")}  # noqa: E731
        before = ours()
        provider.script(fail(500))
        gateway.call("hi")
        list(gateway.stream("hi"))
        stream = gateway.stream("hi")
        next(stream)
        gateway.pool_status()
        assert ours() == before
        gateway.submit("hi").result(5)
        assert len(ours() - before) == 1
        gateway.close()
        for thread in ours() - before:
            thread.join(5)
        assert ours() == before


def test_p23_close_is_idempotent_from_any_thread() -> None:
    """Eight threads close a gateway in use, twice each; all that runs ends with ``ClosedError``, and so does all later."""
    from omnillm.errors import ClosedError
    from omnillm.testing import hang

    with LocalProvider() as provider:
        gateway = GatewayBuilder(endpoint_of(provider)).default_model(MODEL).add_key(KeyConfig("sk-1")).build()
        provider.script(hang(times=20))
        futures = [gateway.submit("hi") for _ in range(10)]
        assert provider.wait_requests(10)
        barrier = threading.Barrier(8)

        def close() -> None:
            barrier.wait(5)
            gateway.close()
            gateway.close()

        threads = [threading.Thread(target=close) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert {type(future.exception(5)) for future in futures} == {ClosedError}
        for later in (gateway.call, gateway.stream, gateway.submit):
            with pytest.raises(ClosedError):
                later("hi")
        assert gateway.pool_status()[0].tpm_inflight == 0
