"""Processes: forks that share nothing, exits that wait for nothing, and what pickles."""

from __future__ import annotations

import copy
import os
import pickle
from typing import Any

import pytest
from own_process import run

from omnillm.config import GatewayConfig, KeyConfig, RouteConfig
from omnillm.errors import ConfigurationError
from omnillm.gateway.gateway import Gateway
from omnillm.testing import LocalProvider
from omnillm.types.enums import ProviderProtocol

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@needs_fork
def test_a_child_has_its_own() -> None:
    """A child calls over connections of its own, with nothing in flight; the parent's stream is neither its own nor disturbed."""
    run("""
        provider = LocalProvider()
        gateway = build(provider)
        gateway.call("warm up")
        provider.script(break_stream(4, how="hang"))
        stream = gateway.stream("one two three four five")
        next(stream)
        held = gateway.pool_status()[0].tpm_inflight
        spent = gateway.budget_used_usd()
        assert held > 0
        before = provider.connections

        def child():
            try:
                next(stream)
            except ClosedError as error:
                assert "another process" in str(error)
            else:
                raise AssertionError("the child read its parent's stream")
            stream.close()
            assert gateway.pool_status()[0].tpm_inflight == 0
            assert gateway.budget_used_usd() == spent
            assert gateway.call("from the child").text == "echo: from the child"
            assert gateway.stream("and a stream").text().__next__() == "echo:"
            gateway.close()
            gateway.close()

        in_child(child)
        assert provider.connections > before
        assert gateway.pool_status()[0].tpm_inflight == held
        assert next(stream) is not None
        stream.close()
        assert gateway.pool_status()[0].tpm_inflight == 0
        assert gateway.call("still here").text == "echo: still here"
        gateway.close()
        provider.close()
    """)


@needs_fork
def test_many_threads_of_a_child_begin_at_once() -> None:
    """Eight threads that are a child's first to call find its store mended: none hangs, and each call's money is counted once."""
    run("""
        from omnillm.policy.pricing import PriceTable
        from omnillm.state import Ask
        provider = LocalProvider()
        gateway = (GatewayBuilder(provider.endpoint("chat_completions")).default_model("m").add_key(KeyConfig("sk-1", "k1"))
                   .pricing(PriceTable({"m": {"input": 1, "output": 1}})).budget_limit_usd(1.0).build())
        gateway.call("hi")
        core = gateway._core
        pool, cost, store = core.routes[0].pool, core.store.snapshot().spent, core.store
        in_flight = pool.acquire(Ask(pool.name, "m", 100, 9))
        held, done = threading.Event(), threading.Event()

        def hold():
            with store._lock:
                held.set()
                done.wait(30)

        def child():
            gate, faults = threading.Barrier(8), []

            def one():
                try:
                    gate.wait(5)
                    gateway.call("hi")
                except BaseException as error:
                    faults.append(error)

            threads = [threading.Thread(target=one, daemon=True) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert not any(thread.is_alive() for thread in threads), "a thread hangs"
            assert not faults, faults
            snapshot = store.snapshot()
            assert (snapshot.spent, snapshot.held_requests, snapshot.budgets[0].reserved) == (9 * cost, 0, 0), snapshot
            assert snapshot.budgets[0].used == 9 * cost and snapshot.keys[0].rpm_used == 9, snapshot

        sys.setswitchinterval(1e-5)
        for _ in range(20):
            held.clear()
            done.clear()
            holder = threading.Thread(target=hold)
            holder.start()
            held.wait()
            in_child(child)
            done.set()
            holder.join()
        assert store.snapshot().held_requests == 1
        pool.release(in_flight)
        gateway.close()
        provider.close()
    """)


@needs_fork
def test_gateways_that_share_a_store_are_mended_together() -> None:
    """A process that forked unseen by Python is mended whole at its first operation, once for all gateways of a store."""
    run("""
        import ctypes
        from omnillm.state import Ask
        from omnillm.state.memory import MemoryState
        store, provider = MemoryState(), LocalProvider()
        first, second = (GatewayBuilder(provider.endpoint("chat_completions")).default_model("m").add_key(KeyConfig("sk-1", "k1"))
                         .state(store).build() for _ in range(2))
        pool = first._core.routes[0].pool
        lost = pool.acquire(Ask(pool.name, "m", 1, 0))
        pid = ctypes.PyDLL(None).fork()
        if not pid:
            code = 1
            try:
                first._core.check()
                lease = pool.acquire(Ask(pool.name, "m", 1, 0))
                second._core.check()
                code = 0 if store.snapshot().held_requests == 1 and not pool.settle(lost, None) and pool.release(lease) else 2
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert pool.release(lost)
        provider.close()
    """)


@needs_fork
def test_jitter_differs_in_the_child() -> None:
    """Parent and child do not wait the same random times."""
    run("""
        gateway = build(LocalProvider())
        read, write = os.pipe()
        def child():
            gateway.pool_status()
            os.write(write, repr(gateway._core.rng.random()).encode())
        in_child(child)
        assert os.read(read, 100).decode() != repr(gateway._core.rng.random())
    """)


# --- pickling -----------------------------------------------------------------------------------------------------------------


def test_a_gateway_does_not_pickle(provider: LocalProvider, build: Any) -> None:
    """A gateway refuses to be pickled or copied, and says what to do instead."""
    gateway = build(provider)
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ConfigurationError, match="send its GatewayConfig"):
            refused(gateway)


def test_a_configuration_with_keys_from_the_environment_does(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a configuration pickles without its keys, and makes a working gateway wherever the variable is set."""
    monkeypatch.setenv("MY_KEY", "sk-CANARY-1")
    config = GatewayConfig(routes=(RouteConfig(provider.endpoint(CHAT), (KeyConfig.from_env("MY_KEY"),)),), default_model="m")
    pickled = pickle.dumps(config)
    assert b"CANARY" not in pickled
    monkeypatch.setenv("MY_KEY", "sk-other")
    with Gateway(pickle.loads(pickled)) as gateway:
        assert gateway.call("hi").key_label == "key-1"
    assert provider.requests[0].key == "sk-other"
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ConfigurationError, match="MY_KEY is not set"):
        pickle.loads(pickled)


def test_a_literal_key_does_not(provider: LocalProvider) -> None:
    """A configuration with a literal key refuses, naming its label and not the key."""
    config = GatewayConfig(routes=(RouteConfig(provider.endpoint(CHAT), (KeyConfig("sk-CANARY-1", "prod"),)),))
    with pytest.raises(ConfigurationError, match="key 'prod' was given as a literal") as caught:
        pickle.dumps(config)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 429, 500, 422])
def test_errors_pickle(provider: LocalProvider, build: Any, status: int) -> None:
    """What a call raises goes to another process whole."""
    from omnillm.errors import GatewayError
    from omnillm.policy.retry import RetryPolicy
    from omnillm.testing import fail

    provider.script(fail(status, retry_after=99, message="said"))
    with pytest.raises(GatewayError) as caught:
        build(provider, retry=RetryPolicy(max_attempts=1)).call("hi")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), vars(again), str(again)) == (type(caught.value), vars(caught.value), "said")
