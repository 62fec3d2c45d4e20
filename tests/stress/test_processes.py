"""Processes that fork at any point, servers that do, signals at any moment, exits in the midst of everything."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest
import spawned
from interrupts import scaled
from own_process import PRELUDE, run

from omnillm.config import GatewayConfig, KeyConfig, RouteConfig
from omnillm.gateway.builder import GatewayBuilder
from omnillm.testing import LocalProvider
from omnillm.types.enums import ProviderProtocol

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
FORKING_WITH_THREADS = "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.skipif(sys.gettrace() is not None, reason="the processes are not traced, and these tests show nothing more"),
]

LOCKS = [
    "gateway._core.store._lock",
    "gateway._core.allowance._lock",
    "gateway._core.workers._lock",
    "future._gate",
    "future._condition",
    "__import__('omnillm.gateway.core').gateway.core._MENDING.setdefault(os.getpid(), threading.RLock())",
]


def test_p21_safe_after_fork_while_locks_are_held() -> None:
    """A child that is forked while another thread holds every lock of ours calls, streams, submits and looks, and never waits."""
    run(f"""
        from concurrent.futures import ThreadPoolExecutor
        provider = LocalProvider()
        gateway = build(provider)
        future = gateway.submit("warm up")
        future.result()
        held, go = threading.Event(), threading.Event()

        def hold():
            with {", ".join(LOCKS)}:
                held.set()
                go.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()

        def child():
            assert gateway.pool_status()[0].tpm_inflight == 0
            assert gateway.call("child").text == "echo: child"
            assert "".join(gateway.stream("child").text()) == "echo: child"
            assert gateway.submit("child").result(10).text == "echo: child"
            assert [answer.text for answer in gateway.map(["a", "b"])] == ["echo: a", "echo: b"]
            gateway.close()

        in_child(child)
        ThreadPoolExecutor(1).submit(in_child, child).result()  # forked by a thread, which is the child's only one
        go.set()
        holder.join()
        assert gateway.submit("parent").result(10).text == "echo: parent"
        gateway.close()
        provider.close()
    """)


def test_p21_safe_after_fork_of_a_server() -> None:
    """Workers forked of a loaded application, which fork workers of their own, talk at once over connections of their own."""
    run("""
        provider = LocalProvider(latency=0.002)
        gateway = build(provider, 2)  # as gunicorn --preload makes it, and a Celery worker before its pool
        gateway.call("before the fork")
        running = gateway.submit("in flight")

        def talk(name):
            def one(n):
                for k in range(5):
                    text = f"{name} {n} {k}"
                    assert gateway.call(text).text == f"echo: {text}"
                    with gateway.stream(text) as stream:
                        assert "".join(stream.text()) == f"echo: {text}"
                done.append(n)
            done = []
            threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(done) == [0, 1, 2]
            assert all(status.tpm_inflight == 0 for status in gateway.pool_status())

        def start(step):
            pid = os.fork()
            if pid:
                return pid
            code = 1
            try:
                step()
                code = 0
            finally:
                os._exit(code)

        def worker():
            talk("worker")
            child = start(lambda: talk("worker's child"))
            talk("worker again")
            assert os.waitpid(child, 0)[1] == 0

        pids = [start(worker) for _ in range(3)]
        running.result()
        talk("parent")
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
        gateway.close()
        provider.close()
    """)


@pytest.mark.filterwarnings(FORKING_WITH_THREADS)
def test_a_pool_of_forked_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of ``multiprocessing`` that inherit a gateway call through it."""
    with LocalProvider() as provider:
        builder = GatewayBuilder(provider.endpoint(CHAT)).default_model("m").add_key(KeyConfig("sk-1", "k1"))
        with builder.build() as gateway:
            gateway.call("before")
            monkeypatch.setattr(spawned, "gateway", gateway)
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
                answers = list(pool.map(spawned.ask, [f"text {n}" for n in range(8)]))
        assert [answer for _, answer, _ in answers] == [f"echo: text {n}" for n in range(8)]
        assert {held for _, _, held in answers} == {0}
        assert os.getpid() not in {pid for pid, _, _ in answers}


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_pool_of_new_processes(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """A configuration whose keys come by reference goes to new processes, which make gateways of their own of it."""
    monkeypatch.setenv("STRESS_KEY", "sk-by-reference")
    with LocalProvider(keys=["sk-by-reference"]) as provider:
        route = RouteConfig(provider.endpoint(CHAT), (KeyConfig.from_env("STRESS_KEY"),))
        config = GatewayConfig(routes=(route,), default_model="m")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            pid, answer = pool.submit(spawned.ask_anew, config, "hi").result(60)
    assert (answer, pid != os.getpid()) == ("echo: hi", True)


def test_p20_no_deadlock_under_signals() -> None:
    """A handler that calls the gateway every millisecond, whatever it interrupts, is answered or refused, and never hangs."""
    run(f"""
        import signal, time
        from omnillm.errors import OmniLLMError, StateUnavailableError
        provider = LocalProvider()
        gateway = build(provider, rpm_limit=10**7, tpm_limit=10**9)
        gateway.call("warm up"), gateway.submit("warm up").result(), list(gateway.stream("warm up"))
        said, stop = {{"answered": 0, "refused": 0}}, False

        def handler(*_):
            try:
                gateway.pool_status()
                if said["answered"] % 10 == 0:
                    gateway.submit("from the handler").cancel()
                if said["answered"] % 50 == 0:
                    assert gateway.call("from the handler").text == "echo: from the handler"
                said["answered"] += 1
            except StateUnavailableError:
                said["refused"] += 1
            if not stop:
                signal.setitimer(signal.ITIMER_REAL, 0.001)

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        try:
            for n in range({scaled(40, full=100)}):
                try:
                    assert gateway.call(f"text {{n}}").text == f"echo: text {{n}}"
                    assert "".join(gateway.stream(f"text {{n}}").text()) == f"echo: text {{n}}"
                    assert gateway.submit("hi").result(20).text == "echo: hi"
                except OmniLLMError as error:
                    raise AssertionError(repr(error)) from error
        finally:
            stop = True
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert said["answered"] > 20, said
        for _ in range(1000):
            if not gateway._core.store.snapshot().held_requests:
                break
            threading.Event().wait(0.01)
        assert gateway.pool_status()[0].tpm_inflight == 0
        gateway.close()
        provider.close()
    """)


@pytest.mark.parametrize("use", ["call", "stream", "submit", "run_tools"])
def test_p01_quota_is_always_returned_after_ctrl_c(use: str) -> None:
    """Real signals that raise at any bytecode of the main thread, the start of threads among them, lose no quota and no money."""
    step = {
        "call": "gateway.call('hi')",
        "stream": "next(gateway.stream('a b c'))",
        "submit": "gateway.submit('hi').result()",
        "run_tools": 'gateway.run_tools(\'call add with {"a": 1, "b": 2}\', [add])',
    }[use]
    run(f"""
        import gc, random, signal, time
        from omnillm import tool

        @tool
        def add(a: int, b: int) -> int:
            return a + b

        provider = LocalProvider()
        gateway = build(provider, rpm_limit=10**7, tpm_limit=10**9)
        loop = lambda: {step}
        loop()
        rng, landed = random.Random(1), 0
        sys.unraisablehook = bool
        gateway._core.workers._idle_s = 0.001  # threads start all the time
        ready = False

        class Cut(BaseException):
            pass

        def handler(*_):
            if ready:
                raise Cut

        signal.signal(signal.SIGALRM, handler)
        while landed < {scaled(150, full=400)}:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + rng.random() * 0.004, 0.002)
            try:
                ready = True
                while True:
                    loop()
            except Cut:
                ready = False
                landed += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        for _ in range(1000):
            gc.collect()
            snapshot = gateway._core.store.snapshot()
            if not snapshot.held_requests:
                break
            threading.Event().wait(0.01)
        assert (snapshot.held_requests, snapshot.held_tokens, snapshot.budgets[0].reserved) == (0, 0, 0), snapshot
        assert snapshot.budgets[0].used == snapshot.spent > 0
        assert gateway._core.reading == {{}} and gateway._core.allowance.in_flight == 0
        for n in range(5):
            assert gateway.submit("and on").result(5).text == "echo: and on"
        gateway.close()
        assert provider.wait_open_connections(0)
        provider.close()
    """)


def test_exit_in_the_midst_of_everything() -> None:
    """With calls running, waiting and idle workers, open and lost streams, the interpreter ends within a second, silently."""
    run("""
        from omnillm.testing import hang
        provider = LocalProvider()
        gateway = build(provider, 3)
        gateway.submit("warm up").result()
        provider.script(break_stream(3, how="hang", times=2), hang(times=99))
        stream = gateway.stream("one two three")
        next(stream)
        cycle = [gateway.stream("one two three")]
        cycle.append(cycle)
        next(cycle[0])
        futures = [gateway.submit("running") for _ in range(100)]
        answers = gateway.map(["a", "b", "c"], concurrency=2)
        threading.Thread(target=lambda: next(answers), daemon=True).start()
        assert provider.wait_requests(20)
        faulthandler.cancel_dump_traceback_later()
        faulthandler.dump_traceback_later(1 if os.getloadavg()[0] < 3 else 15, exit=True)
    """)


PATCH = "from gevent import monkey\nmonkey.patch_all()\n"
PATCHED_LATE = (
    PRELUDE
    + """
import omnillm.gateway.hedge, omnillm.gateway.workers, omnillm.transport.google, urllib3
import warnings
warnings.simplefilter("ignore")  # gevent's, of ssl
"""
    + PATCH
)


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is not installed")
@pytest.mark.parametrize("prelude", [PATCH + PRELUDE, PATCHED_LATE], ids=["first", "after the import"])
def test_a_process_that_gevent_patched(prelude: str) -> None:
    """Where gevent has replaced threads and sockets, calls run at once in greenlets, wait for keys, and leave nothing behind.

    So it is where it does that after the import, as a worker of gunicorn with ``--preload``.
    """
    run(
        """
        import gevent
        from gevent.threadpool import ThreadPool
        from omnillm.policy.limits import PoolConfig
        from omnillm.errors import CallCancelledError, DeadlineExceededError
        from omnillm.testing import hang
        provider = LocalProvider()
        gateway = build(provider, 2)

        def talk(n):
            for k in range(5):
                assert gateway.call(f"{n} {k}").text == f"echo: {n} {k}"
                assert "".join(gateway.stream(f"{n} {k}").text()) == f"echo: {n} {k}"
            return gateway.submit(f"{n}").result(20).text

        ticks = []
        ticking = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.01)) for _ in range(100_000)])
        greenlets = [gevent.spawn(talk, n) for n in range(20)]
        gevent.joinall(greenlets, timeout=30, raise_error=True)
        assert [greenlet.value for greenlet in greenlets] == [f"echo: {n}" for n in range(20)]
        assert [answer.text for answer in gateway.map(["a", "b"])] == ["echo: a", "echo: b"]

        before = len(ticks)
        gevent.sleep(0.5)
        assert len(ticks) - before > 3, "something keeps all greenlets waiting"
        ticking.kill()

        provider.script(hang(times=2))
        try:
            gateway.call("hi", timeout=0.2)
        except DeadlineExceededError:
            pass
        killed = gevent.spawn(gateway.call, "hi")
        provider.wait_requests(len(provider.requests) + 1, timeout=0.2)
        gevent.sleep(0.1)
        killed.kill()
        assert all(status.tpm_inflight == 0 for status in gateway.pool_status()), gateway.pool_status()
        gateway.close()
        provider.close()
        faulthandler.cancel_dump_traceback_later()
        """,
        prelude=prelude,
    )
