"""Calls on worker threads: what the futures give, how they end, and how many threads there are."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from typing import Any

import pytest
from gateway_scripts import held, wait_until
from interrupts import Cut, CutAt, at_every_place, skipped_when_traced
from own_process import run

from omnillm._cancel import CancellationToken
from omnillm.errors import BadRequestError, CallCancelledError, ClosedError, ConfigurationError, DeadlineExceededError
from omnillm.gateway.workers import WorkerFuture, Workers
from omnillm.testing import LocalProvider, fail, hang

AT_ONCE = 1.0


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "omnillm-worker"]


@pytest.fixture(autouse=True)
def no_worker_left() -> Any:
    """Closed gateways end their workers."""
    yield
    wait_until(lambda: not threads())


def test_a_future_gives_the_answer(provider: LocalProvider, build: Any) -> None:
    """``submit`` gives a ``Future`` at once; its result is what ``call`` gives. No thread exists before it."""
    gateway = build(provider)
    gateway.call("warm up")
    assert threads() == []
    future = gateway.submit("hi")
    assert isinstance(future, Future)
    assert future.result(5).text == "echo: hi"
    assert future.exception() is None
    assert [thread.daemon for thread in threads()] == [True]
    assert held(gateway) == (0, 0)


def test_what_the_call_raises_is_the_futures(provider: LocalProvider, build: Any) -> None:
    """An error is raised by ``result``, whatever it is: the provider's, and that of a request that nobody takes."""
    provider.script(fail(400))
    gateway = build(provider)
    with pytest.raises(BadRequestError):
        gateway.submit("hi").result(5)
    with pytest.raises(ConfigurationError, match="request"):
        gateway.submit(7).result(5)
    with pytest.raises(ConfigurationError, match="cancel"):
        gateway.submit("hi", cancel="no token")


def test_idle_workers_are_used_again(provider: LocalProvider, build: Any) -> None:
    """One call after the other takes one thread; at once there are no more than ``max_workers``."""
    gateway = build(provider, max_workers=3)
    for _ in range(5):
        gateway.submit("hi").result(5)
        wait_until(lambda: len(gateway._core.workers._idle) == 1)
    assert len(threads()) == 1
    futures = [gateway.submit(f"question {n}") for n in range(20)]
    assert [future.result(5).text for future in futures] == [f"echo: question {n}" for n in range(20)]
    assert len(threads()) <= 3


def test_at_most_so_many_run_at_once(provider: LocalProvider, build: Any) -> None:
    """What is beyond ``max_workers`` waits, and is not sent."""
    provider.script(hang(times=9))
    gateway = build(provider, max_workers=2)
    futures = [gateway.submit("hi") for _ in range(4)]
    assert provider.wait_requests(2)
    assert [future.running() for future in futures] == [True, True, False, False]
    for future in reversed(futures):
        assert future.cancel()
    assert len(provider.requests) == 2
    wait(futures, AT_ONCE)
    assert held(gateway) == (0, 0)


def test_cancel_ends_a_running_call(provider: LocalProvider, build: Any) -> None:
    """Cancelling a future whose call runs ends the call at once, with what it held back; a second time it is over."""
    provider.script(hang())
    gateway = build(provider)
    future = gateway.submit("hi")
    assert provider.wait_requests(1)
    assert future.cancel()
    with pytest.raises(CallCancelledError):
        future.result(AT_ONCE)
    assert not future.cancel()
    assert not future.cancelled()
    assert held(gateway) == (0, 0)
    assert provider.wait_open_connections(0)


def test_cancel_before_it_runs(provider: LocalProvider, build: Any) -> None:
    """A future that waits is cancelled as any other: nothing is sent, and who waits for it is told."""
    provider.script(hang())
    gateway = build(provider, max_workers=1)
    running, waiting = gateway.submit("hi"), gateway.submit("hi")
    assert provider.wait_requests(1)
    assert waiting.cancel()
    assert waiting.cancelled()
    assert wait([waiting], AT_ONCE).done == {waiting}
    with pytest.raises(CancelledError):
        waiting.result(0)
    assert waiting.cancel()
    running.cancel()
    assert isinstance(running.exception(AT_ONCE), CallCancelledError)
    assert gateway.submit("and on").result(5).text == "echo: and on"
    assert len(provider.requests) == 2


def test_the_callers_token(provider: LocalProvider, build: Any) -> None:
    """A token ends what runs and what waits; a future's own ``cancel`` does not cancel it, and it forgets what is over."""
    provider.script(hang(times=2))
    gateway, token = build(provider, max_workers=1), CancellationToken()
    gateway.submit("other", cancel=token).cancel()
    assert not token.cancelled
    wait_until(lambda: not token._callbacks)
    futures = [gateway.submit("hi", cancel=token) for _ in range(3)]
    wait_until(futures[0].running)
    token.cancel()
    assert [type(future.exception(AT_ONCE)) for future in futures] == [CallCancelledError] * 3
    assert token._callbacks == {}
    assert isinstance(gateway.submit("hi", cancel=token).exception(AT_ONCE), CallCancelledError)


def test_close_fails_what_waits(provider: LocalProvider, build: Any) -> None:
    """``close`` ends running and waiting calls with ``ClosedError``, and the workers; a later ``submit`` is refused."""
    provider.script(hang(times=2))
    gateway = build(provider, max_workers=2)
    futures = [gateway.submit("hi") for _ in range(5)]
    assert provider.wait_requests(2)
    gateway.close()
    assert [type(future.exception(AT_ONCE)) for future in futures] == [ClosedError] * 5
    wait_until(lambda: not threads())
    with pytest.raises(ClosedError):
        gateway.submit("hi")
    assert held(gateway) == (0, 0)


def test_the_deadline_counts_from_when_it_runs(provider: LocalProvider, build: Any) -> None:
    """A call that waited for a worker has its whole ``timeout``."""
    provider.script(hang())
    gateway = build(provider, max_workers=1)
    first, second = gateway.submit("hi", timeout=0.3), gateway.submit("hi", timeout=0.3)
    assert isinstance(first.exception(5), DeadlineExceededError)
    assert second.result(5).text == "echo: hi"


TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("TENANT", default="nobody")


def test_the_context_is_the_submitters(provider: LocalProvider, build: Any) -> None:
    """Context variables are those of the thread that submitted, for the hooks too; what the call sets stays in it."""
    seen = []
    gateway = build(provider, on_event=lambda _: seen.append(TENANT.get()))
    TENANT.set("acme")
    future = gateway.submit("hi")
    TENANT.set("other")
    future.result(5)
    assert set(seen) == {"acme"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_worker_outlives_whatever_is_raised_on_it(provider: LocalProvider, build: Any, error: type[BaseException]) -> None:
    """A ``BaseException`` is its future's, raised by ``result``; the worker goes on."""

    def interrupt(_: object) -> None:
        if not raised:
            raised.append(error)
            raise error

    raised: list[Any] = []
    gateway = build(provider, max_workers=1, on_event=interrupt)
    with pytest.raises(error):
        gateway.submit("hi").result(5)
    worker = threads()
    assert gateway.submit("hi").result(5).text == "echo: hi"
    assert threads() == worker
    assert held(gateway) == (0, 0)


def test_a_done_callback_may_raise_anything(provider: LocalProvider, build: Any, caplog: Any) -> None:
    """What a callback raises beyond ``Exception`` is logged by its class; the future is complete and the worker goes on."""

    def callback(_: object) -> None:
        raise SystemExit("sk-secret")

    gateway = build(provider, max_workers=1)
    provider.script(fail(400))
    go = threading.Event()
    blocker = gateway._core.workers.submit(go.wait, WorkerFuture())
    future = gateway.submit("hi")
    future.add_done_callback(callback)
    go.set()
    assert isinstance(future.exception(5), BadRequestError)
    assert gateway.submit("hi").result(5).text == "echo: hi"
    assert blocker.done()
    assert "SystemExit" in caplog.text
    assert "sk-secret" not in caplog.text


# --- the threads by themselves ------------------------------------------------------------------------------------------------


def submitted(workers: Workers, work: Callable[[], Any]) -> WorkerFuture[Any]:
    return workers.submit(work, WorkerFuture())


def test_an_idle_worker_ends() -> None:
    """A worker without work for ``idle_s`` ends; the next task has a new one."""
    workers = Workers(4, idle_s=0.01)
    assert submitted(workers, lambda: 7).result(5) == 7
    wait_until(lambda: not workers._threads)
    assert submitted(workers, lambda: 8).result(5) == 8
    workers.close()


def test_what_a_worker_waits_for_has_a_thread() -> None:
    """Tasks within tasks do not wait for themselves, however few workers there are; those beyond the limit end with them."""
    workers = Workers(1)

    def nested(depth: int) -> int:
        return 0 if not depth else 1 + submitted(workers, lambda: nested(depth - 1)).result(5)

    assert [future.result(5) for future in [submitted(workers, lambda: nested(5)) for _ in range(3)]] == [5] * 3
    wait_until(lambda: len(workers._threads) == 1)
    workers.close()


def test_many_threads_submit_and_cancel() -> None:
    """Whatever is cancelled in the midst of whatever, each future is completed once, and the count of threads holds."""
    workers, ran, most = Workers(3), [], []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def work(n: int) -> int:
        most.append(len(workers._threads))
        ran.append(n)
        return n

    def busy(k: int) -> None:
        for n in range(200):
            future = submitted(workers, lambda n=n: work(k * 1000 + n))
            (future.cancel, future.end, lambda: None)[n % 3]()
            futures.append((k * 1000 + n, future))

    futures: list[tuple[int, WorkerFuture[int]]] = []
    try:
        callers = [threading.Thread(target=busy, args=(k,)) for k in range(6)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        wait([future for _, future in futures], 10)
    finally:
        sys.setswitchinterval(before)
        workers.close()
    given = [n for n, future in futures if not future.cancelled() and future.exception(0) is None]
    assert {future.result(0) for n, future in futures if n in set(given)} == set(given) == set(ran)
    assert len(ran) == len(set(ran)) >= 6 * 66  # those that nobody ended
    assert max(most) <= 3


def test_a_machine_without_threads() -> None:
    """Where no thread can be made, another takes the task, or ``submit`` raises and the future is over."""
    workers, go = Workers(4), threading.Event()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        future: WorkerFuture[Any] = WorkerFuture()
        with pytest.raises(RuntimeError, match="can't start"):
            workers.submit(go.set, future)
        assert isinstance(future.exception(0), CallCancelledError)
    first = submitted(workers, go.wait)
    wait_until(first.running)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        second = submitted(workers, lambda: 2)
    go.set()
    assert second.result(5) == 2
    workers.close()


# --- processes ----------------------------------------------------------------------------------------------------------------


@skipped_when_traced
def test_an_interrupted_submit_leaves_nothing_queued() -> None:
    """Wherever ``submit`` is cut, among idle workers, what it was to do is over: none of it lies in the queue."""
    workers = Workers(2)
    workers.submit(int).result(5)
    wait_until(lambda: workers._idle == workers._threads)

    def check() -> None:
        wait_until(lambda: not workers._queue and workers._idle == workers._threads, 1.0)

    assert at_every_place(lambda: workers.submit(int), check) > 30
    assert workers.submit(int).result(5) == 0
    workers.close()


@skipped_when_traced
@pytest.mark.parametrize("end", [WorkerFuture.end, WorkerFuture.cancel])
def test_an_interrupt_that_is_kept_keeps_no_worker(end: Callable[[WorkerFuture[Any]], object]) -> None:
    """Wherever the end of a future is cut, and the exception kept with all its frames, its worker goes on to other things."""
    kept: list[Cut] = []
    place, happened = 0, True
    while happened:
        place += 1
        workers, go = Workers(1), threading.Event()
        workers.submit(go.wait)
        future = workers.submit(int)
        try:
            with CutAt(place) as cut:
                end(future)
        except Cut as interrupt:
            kept.append(interrupt)
        go.set()
        wait_until(lambda: len(workers._idle) == 1 and not workers._queue, 1.0)  # noqa: B023  # called at once
        workers.close()
        happened = cut.happened
    assert len(kept) > 20


def test_exit_waits_for_nothing() -> None:
    """The interpreter ends within a second though calls run, wait and workers are idle."""
    run("""
        import atexit, time
        from omnillm.testing import hang
        provider = LocalProvider()
        gateway = build(provider, 3)
        gateway.submit("warm up").result()
        provider.script(hang(times=99))
        gateway.submit("running"), gateway.submit("running")
        assert provider.wait_requests(3)
        faulthandler.dump_traceback_later(1 if os.getloadavg()[0] < 3 else 15, exit=True)
    """)


def test_ctrl_c_while_waiting() -> None:
    """Ctrl-C ends the wait for a result within a second, and a map's: then its calls are cancelled."""
    run("""
        import os, signal, time
        from omnillm.testing import hang
        provider = LocalProvider()
        gateway = build(provider, 1)
        provider.script(hang(times=99))
        running = gateway.submit("hi")
        for wait in (running.result, lambda: list(gateway.map(["a", "b", "c"], concurrency=2))):
            sent = len(provider.requests)
            def interrupt():
                waits.wait()
                assert provider.wait_requests(1 if wait == running.result else sent + 2)
                times.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            waits, times = threading.Event(), []
            threading.Thread(target=interrupt).start()
            try:
                waits.set()
                wait()
            except KeyboardInterrupt:
                assert time.monotonic() - times[0] < 1
            else:
                raise AssertionError("nothing was interrupted")
        assert running.cancel()
        for _ in range(100):
            if not gateway._core.store.snapshot().held_requests:
                break
            threading.Event().wait(0.01)
        else:
            raise AssertionError("something is held still")
        gateway.close()
        provider.close()
    """)


def test_a_child_has_fresh_workers() -> None:
    """A forked child submits on threads of its own; the parent's futures are refused there, and go on here."""
    run("""
        from omnillm.testing import delay
        provider = LocalProvider()
        gateway = build(provider, 2)
        over = gateway.submit("warm up")
        over.result()
        provider.script(delay(0.3, times=2))
        future = gateway.submit("of the parent")
        answers = gateway.map(iter(["of the parent's map", "and on"]), concurrency=1)
        reader = threading.Thread(target=lambda: said.append(next(answers).text))
        said = []
        reader.start()
        assert provider.wait_requests(3)

        def child():
            future.end()
            assert over.result().text == "echo: warm up"
            for ask in (future.result, future.exception):
                try:
                    ask(1)
                except ClosedError as error:
                    assert "another process" in str(error)
                else:
                    raise AssertionError("the child has the parent's answer")
            assert not future.cancel()
            assert gateway.submit("of the child").result(5).text == "echo: of the child"
            assert [r.text for r in gateway.map(["a", "b"])] == ["echo: a", "echo: b"]
            gateway.close()

        in_child(child)
        assert future.result(5).text == "echo: of the parent"
        reader.join(5)
        assert said == ["echo: of the parent's map"]
        assert next(answers).text == "echo: and on"
        assert gateway.pool_status()[0].tpm_inflight == 0
        gateway.close()
        provider.close()
    """)
