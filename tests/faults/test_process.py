"""Faults of the process: interrupts, threads, forks, the collector, signals, hooks, exits, clocks, limits, environment."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_matrix import Outcome
from fault_play import TWICE, Play, good
from gateway_scripts import chunk, data, held, key_of, open_stream, wait_until
from own_process import run

from omnillm.config import KeyConfig
from omnillm.errors import ConfigurationError, NoAvailableKeyError, RateLimitedError, StreamInterruptedError
from omnillm.policy.budget import Budget
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import FakeClock, LocalProvider, break_stream, fail
from omnillm.testing.scripted import expect, stall
from omnillm.types.hooks import AttemptEnded, AttemptStarted, CallEnded, HookEvent
from omnillm.types.request import LlmRequest

PROMPT = LlmRequest("m", "hi").estimated_prompt_tokens()
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
MANY = [KeyConfig("sk-1", "k1", rpm_limit=10**6, tpm_limit=10**9)]


CUTS = 100


class Cut(BaseException):
    """What is injected."""


@pytest.mark.skipif(sys.gettrace() is not None, reason="interrupts leave the tracer's own locks locked")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("how", ["call", "stream"])
def test_row_71_an_exception_at_any_bytecode(
    provider: LocalProvider, build: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Wherever calls are cut, nothing stays held or reserved, every connection closes, and the gateway works on."""
    monkeypatch.setattr(sys, "unraisablehook", bool)
    monkeypatch.setattr(threading, "excepthook", bool)
    gateway = build(provider, MANY, budget=Budget(10.0**9))
    stop, cuts = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            try:
                gateway.call("hi") if how == "call" else next(gateway.stream("one two three"))
            except Cut:
                cuts.append(how)

    _cut_at_random(work, stop, cuts)
    gc.collect()
    gateway.pool_status()
    (budget,) = gateway._core.store.snapshot().budgets
    assert len(cuts) >= CUTS
    assert (held(gateway), budget.reserved, budget.used / 10**12) == ((0, 0), 0, gateway.budget_used_usd())
    status = key_of(gateway)
    assert (status.available, status.consecutive_failures, status.tpm_inflight) == (True, 0, 0)
    assert gateway.budget_used_usd() == status.tpm_used  # at a dollar a token the window and the money agree
    assert (gateway._core.allowance.in_flight, gateway._core.reading) == (0, {})
    assert gateway.call("hi").text == "echo: hi"
    gateway.close()
    assert provider.wait_open_connections(0, timeout=5)


def _cut_at_random(work: Callable[[], None], stop: threading.Event, cuts: list[str]) -> None:
    """Keep one worker alive, and cut it at random moments, often enough."""
    rng, threads, until = random.Random(1), [], time.monotonic() + 20
    while len(cuts) < CUTS and time.monotonic() < until:
        if not threads or not threads[-1].is_alive():
            threads.append(threading.Thread(target=work, daemon=True))
            threads[-1].start()
        time.sleep(rng.random() * 0.004)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threads[-1].ident or 0), ctypes.py_object(Cut))
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "the worker hangs"


def test_row_72_a_thread_that_ends(provider: LocalProvider, build: Any) -> None:
    """What the thread had read is paid for; its key is free and its connection closed."""
    provider.script(break_stream(3, how="hang"))
    gateway = build(provider)

    def read() -> None:
        stream = gateway.stream("hi there")
        assert next(stream.text())

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(5)
    gc.collect()
    assert key_of(gateway).tpm_inflight == 0
    assert provider.wait_open_connections(0, timeout=5)
    assert gateway.budget_used_usd() == LlmRequest("m", "hi there").estimated_prompt_tokens() + 2  # "echo:" is two tokens
    status = key_of(gateway)
    assert (held(gateway), status.available, status.consecutive_failures) == ((0, 0), True, 0)
    assert len(provider.requests) == 1


@needs_fork
def test_row_73_a_fork_among_busy_threads() -> None:
    """Whatever the other threads of the parent were within, the child's calls are answered, and the parent's are its own."""
    run("""
        provider = LocalProvider(latency=0.002)
        gateway = build(provider, 3)
        stop, faults = threading.Event(), []

        def busy(n):
            while not stop.is_set():
                try:
                    if n % 2:
                        with gateway.stream(f"nonce {n}") as stream:
                            next(stream)
                    else:
                        assert gateway.call(f"nonce {n}").text == f"echo: nonce {n}"
                except BaseException as error:
                    faults.append(error)
                    return

        threads = [threading.Thread(target=busy, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()

        def child():
            before = gateway.budget_used_usd()
            answer = gateway.call("child")
            assert answer.text == "echo: child"
            assert round(gateway.budget_used_usd() - before - answer.cost_usd, 11) == 0
            assert all(status.tpm_inflight == 0 for status in gateway.pool_status())
            assert all(status.consecutive_failures == 0 for status in gateway.pool_status())

        for _ in range(4):
            in_child(child)
        stop.set()
        for thread in threads:
            thread.join(10)
        assert not faults, faults
        assert all(status.tpm_inflight == 0 for status in gateway.pool_status())
        assert round(gateway.budget_used_usd() + gateway.budget_remaining_usd(), 11) == 1.0
        gateway.close()
        provider.close()
    """)


@needs_fork
def test_row_74_a_fork_with_an_open_stream() -> None:
    """The child may not read its parent's stream, nor end it by closing it; the parent reads it to its end."""
    run("""
        provider = LocalProvider()
        gateway = build(provider)
        stream = gateway.stream("one two three")
        first = next(stream.text())

        def child():
            try:
                next(stream)
            except ClosedError as error:
                assert error.sent == "yes" and "another process" in str(error)
            else:
                raise AssertionError("the child read its parent's stream")
            stream.close()
            assert gateway.budget_used_usd() == 0 == gateway.pool_status()[0].tpm_inflight
            gateway.close()

        in_child(child)
        assert gateway.pool_status()[0].tpm_inflight > 0
        assert first + "".join(stream.text()) == "echo: one two three"
        assert gateway.budget_used_usd() == stream.response.cost_usd
        assert len(provider.requests) == len(stream.response.attempts) == 1
        gateway.close()
        provider.close()
    """)


def test_row_75_garbage_collection_everywhere(provider: LocalProvider, build: Any) -> None:
    """With a collection at every allocation, streams that are lost in cycles end in the midst of others' critical sections."""
    for _ in range(12):
        provider.script(break_stream(2, how="hang"))
    gateway, faults = build(provider, MANY), []

    class Cycle:
        def __init__(self) -> None:
            self.stream, self.me = gateway.stream("one two three"), self

    def work() -> None:
        try:
            for _ in range(3):
                next(Cycle().stream)
                gateway.pool_status()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "a finaliser waits for a lock"
    finally:
        gc.set_threshold(*before)
    gc.collect()
    gateway.pool_status()
    assert (faults, held(gateway), gateway._core.reading) == ([], (0, 0), {})
    assert provider.wait_open_connections(0, timeout=5)
    status, prompt = key_of(gateway), LlmRequest("m", "one two three").estimated_prompt_tokens()
    assert (len(provider.requests), status.rpm_used, status.consecutive_failures) == (12, 12, 0)
    assert 12 * prompt <= gateway.budget_used_usd() == status.tpm_used


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no timer signals here")
def test_row_76_a_signal_handler_that_calls() -> None:
    """A handler that asks and calls, every few milliseconds, in the midst of calls, is answered or refused; nothing hangs."""
    run("""
        import signal, time
        from omnillm.errors import OmniLLMError
        provider = LocalProvider()
        gateway = GatewayBuilder(provider.endpoint("chat_completions")).default_model("m").add_key(
            KeyConfig("sk-1", "k1", rpm_limit=10**6, tpm_limit=10**9)).build()
        done = {"ok": 0, "refused": 0}
        busy = []

        def handle(*_):
            if busy:
                return
            busy.append(1)
            try:
                gateway.pool_status()
                assert gateway.call("from the handler").text == "echo: from the handler"
                done["ok"] += 1
            except OmniLLMError:
                done["refused"] += 1
            finally:
                busy.clear()

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
        until = time.monotonic() + 15
        while done["ok"] < 10 and time.monotonic() < until:
            assert gateway.call("hi").text == "echo: hi"
            assert list(gateway.stream("hi").text()) == ["echo:", " hi"]
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert done["ok"] >= 10, done
        status = gateway.pool_status()[0]
        assert (status.tpm_inflight, status.consecutive_failures, status.available) == (0, 0, True)
        assert status.rpm_used == len(provider.requests)
        assert gateway._core.allowance.in_flight == 0
        gateway.close()
        provider.close()
    """)


def test_row_77_a_hook_that_raises(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The call goes on; the log names the hook and the class of what it raised, and nothing that it said."""

    def broken(event: HookEvent) -> None:
        if type(event) is CallEnded:
            raise LookupError("sk-CANARY")

    gateway = build(provider, on_event=broken)
    with caplog.at_level(logging.DEBUG):
        answer = gateway.call("hi")
    assert (answer.text, len(answer.attempts), len(provider.requests)) == ("echo: hi", 1, 1)
    assert (gateway.budget_used_usd(), held(gateway)) == (answer.cost_usd, (0, 0))
    assert key_of(gateway).consecutive_failures == 0
    (record,) = (record for record in caplog.records if record.name == "omnillm")
    assert "LookupError" in record.getMessage()
    assert "CANARY" not in caplog.text


def test_row_77_a_hook_that_blocks(provider: LocalProvider, build: Any) -> None:
    """Only the call whose hook it is waits: others are made meanwhile."""
    blocks, go = threading.Event(), threading.Event()

    def slow(event: HookEvent) -> None:
        if isinstance(event, AttemptEnded) and not blocks.is_set():
            blocks.set()
            go.wait(10)

    gateway = build(provider, on_event=slow)
    thread = threading.Thread(target=gateway.call, args=("first",))
    thread.start()
    assert blocks.wait(5)
    assert gateway.call("second").text == "echo: second"
    assert thread.is_alive()
    go.set()
    thread.join(5)
    assert (thread.is_alive(), held(gateway), len(provider.requests)) == (False, (0, 0), 2)
    assert gateway.budget_used_usd() == key_of(gateway).tpm_used


def test_row_77_a_hook_that_calls(provider: LocalProvider, build: Any) -> None:
    """A hook may use the gateway that tells it."""
    answers: list[str] = []

    def curious(event: HookEvent) -> None:
        if isinstance(event, AttemptStarted) and not answers:
            answers.append("")
            answers[:] = [gateway.call("from a hook").text, str(gateway.pool_status()[0].tpm_inflight > 0)]

    gateway = build(provider, on_event=curious)
    assert gateway.call("hi").text == "echo: hi"
    assert (answers, held(gateway)) == (["echo: from a hook", "True"], (0, 0))
    assert (len(provider.requests), key_of(gateway).consecutive_failures) == (2, 0)
    assert gateway.budget_used_usd() == key_of(gateway).tpm_used


def test_row_78_exit_with_open_streams() -> None:
    """Streams that are open, lost, and read by a daemon thread hold up no exit."""
    done = run("""
        import time
        provider = LocalProvider()
        for _ in range(3):
            provider.script(break_stream(3, how="hang"))
        gateway = build(provider)
        streams = [gateway.stream("one two three") for _ in range(3)]
        for stream in streams[:2]:
            next(stream)
        class Cycle: pass
        cycle = Cycle()
        cycle.me, cycle.stream = cycle, streams.pop(0)
        del cycle, stream
        here = threading.Event()

        def read():
            here.set()
            list(streams[1])

        threading.Thread(target=read, daemon=True).start()
        here.wait(5)
        print(time.monotonic())
    """)
    assert time.monotonic() - float(done) < 3  # the second of the promise, and two for a busy machine


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_row_79_the_wall_clock_jumps(provider: LocalProvider, build: Any, clock: FakeClock, step: float) -> None:
    """A key cools as long as it was told, whatever time it is."""
    provider.script(fail(429, retry_after=40))
    gateway = build(provider, clock=clock)
    with pytest.raises(RateLimitedError):
        gateway.call("hi")
    clock.step_wall(step)
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.call("hi")
    assert refused.value.retry_after == pytest.approx(40, abs=0.1)
    assert (len(provider.requests), gateway.budget_used_usd(), key_of(gateway).consecutive_failures) == (1, 0, 0)
    clock.advance(40)
    answer = gateway.call("hi")
    assert (answer.text, gateway.budget_used_usd()) == ("echo: hi", answer.cost_usd)


def test_row_79_the_machine_sleeps(build: Any, serve: Any) -> None:
    """A stream that was open when the machine fell asleep, and of which nothing comes after, ends by its idle time."""
    clock, caught = FakeClock(), []
    gateway = build(serve([expect(), open_stream(data(chunk("a"))), stall()]), clock=clock, timeouts={"idle": 60})
    stream = gateway.stream("hi")
    assert next(stream.text()) == "a"

    def read() -> None:
        try:
            list(stream)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    wait_until(lambda: stream._turn)
    clock.advance(3_600)
    thread.join(5)
    assert [type(error) for error in caught] == [StreamInterruptedError]
    assert (caught[0].phase, caught[0].partial_response.text, len(caught[0].attempts)) == ("idle", "a", 1)
    assert (held(gateway), gateway.budget_used_usd(), key_of(gateway).consecutive_failures) == ((0, 0), PROMPT + 1, 1)


def test_row_80_no_descriptors(play: Play) -> None:
    """A machine without descriptors cannot connect; nothing leaks, and it can once there are some."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limit(event: HookEvent) -> None:
        if isinstance(event, AttemptStarted):
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        elif isinstance(event, AttemptEnded):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    try:
        play(good("call"), face="no descriptors", on_event=limit, requests=0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_row_80_no_memory(build: Any, serve: Any, outcome: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """``MemoryError`` passes; what the call held is back, and its connection is closed."""
    left = threading.Event()
    server = serve([expect(), stall(), lambda _: left.set()])
    gateway = build(server, retry=TWICE)

    def none(*_: object) -> int:
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(socket.socket, "recv_into", none, raising=False)
        gateway.call("hi")
    assert left.wait(5)
    status = key_of(gateway)
    assert (held(gateway), status.consecutive_failures, status.tpm_inflight) == ((0, 0), 0, 0)
    assert gateway.budget_used_usd() == PROMPT
    assert len(server.requests) == 1
    assert outcome("no memory").money == "prompt"


def test_row_81_many_threads_over_few_connections(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """500 threads that begin at once are all answered, each with its own answer; ten connections are kept, without a word."""
    gateway = build(provider, MANY, max_workers=10)
    answers: dict[int, str] = {}

    def call(n: int) -> None:
        answers[n] = gateway.call(f"number {n}").text

    threads = [threading.Thread(target=call, args=(n,)) for n in range(500)]
    with caplog.at_level(logging.INFO):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == {n: f"echo: number {n}" for n in range(500)}
    assert provider.wait_open_connections(10, timeout=5)
    assert caplog.text == ""
    assert (held(gateway), len(provider.requests), key_of(gateway).consecutive_failures) == ((0, 0), 500, 0)
    assert gateway.budget_used_usd() == key_of(gateway).tpm_used


def test_row_82_the_environment(provider: LocalProvider, build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a proxy, nor a netrc, nor another's certificates are taken from it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login bob password hunter2\ndefault login bob password hunter2\n")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for variable in (name, name.lower()):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for name in ("NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(netrc))
    gateway = build(provider)
    answer = gateway.call("hi")
    assert (answer.text, len(answer.attempts), gateway.budget_used_usd()) == ("echo: hi", 1, answer.cost_usd)
    (request,) = provider.requests
    assert request.headers["authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("bad", ["\n", "\r", "\0", "\u201d", " ", "\t", "ä"])
def test_row_83_a_key_that_cannot_be_sent(bad: str) -> None:
    """It is refused where it is given, and the text does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        KeyConfig(f"sk-CANARY{bad}more", "prod")
    assert "CANARY" not in str(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize("url", ["https://bob:hunter2@api.example.com/v1", "https://hunter2@api.example.com/v1"])
def test_row_83_credentials_in_a_base_url(url: str) -> None:
    """They are refused where they are given, and the text does not show them."""
    with pytest.raises(ConfigurationError) as caught:
        ProviderEndpoint("openai_chat_completions", url)
    assert caught.value.field == "base_url"
    assert "hunter2" not in str(caught.value)
