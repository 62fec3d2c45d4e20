"""What only a shared store has to hold: owners that die, sleep and fork, lost replies, keys that expire, no secrets."""

from __future__ import annotations

import gc
import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from stores import client, kinds, make_store, new_name, one_clock, url_of
from toll import Toll

from omnillm.config import KeyConfig
from omnillm.errors import ConfigurationError, StateUnavailableError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.limits import PICO, Budget, ModelLimits, PoolConfig
from omnillm.state import Ask, KeyLease, KeySpec, Refusal, Settlement, Verdict
from omnillm.state.pool import KeyPool
from omnillm.state.redis import RedisState
from omnillm.testing import LocalProvider
from omnillm.types.enums import ProviderProtocol

KIND = kinds()[-1]
SPEC = KeySpec("k", 1_000, 100)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """What is entered here is closed at the end of the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def plain(closing: ExitStack) -> Any:
    """A client of the server that tests share."""
    return closing.enter_context(client(url_of(KIND)))


def state_of(closing: ExitStack, url: str | None = None, **options: Any) -> RedisState:
    budgets = options.pop("budgets", ())
    state = RedisState(url or url_of(KIND), **{"name": new_name(), "timeout": 5.0, **options})
    closing.callback(state.close)
    state.add_budgets(budgets)
    state.add_pool("p", [SPEC])
    return state


def ask(charge: int = 0, **parts: Any) -> Ask:
    return Ask("p", "m", 10, charge, **parts)


def admitted(outcome: KeyLease | Refusal) -> KeyLease:
    assert isinstance(outcome, KeyLease), outcome
    return outcome


def keys_of(plain: Any, state: RedisState) -> list[str]:
    return sorted(key.decode() for key in plain.keys(f"{state._prefix.replace('{', '[{]').replace('}', '[}]')}*"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: RedisState("http://host"),
        lambda: RedisState(7),
        lambda: RedisState("redis://h", name="a{b"),
        lambda: RedisState("redis://h", name=""),
        lambda: RedisState("redis://h", lease=0),
        lambda: RedisState("redis://h", on_state_error="open"),  # type: ignore[arg-type]
        lambda: RedisState("redis://h").admit(ask()),
        lambda: RedisState("redis://h").revive("k"),
    ],
)
def test_a_wrong_value_is_named_before_anything_is_sent(make: Any) -> None:
    """A target, name, lease or rule that is none is a configuration error."""
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize("sleeps", [False, True])
def test_p37_what_a_dead_process_held_comes_back(sleeps: bool, closing: ExitStack) -> None:
    """Within the lease nothing is held any more; the prompt's estimate is spent. One that only slept pays the rest."""
    clock, name = one_clock(), new_name()
    options: dict[str, Any] = {"budgets": [Budget(1.0), Budget(1.0, scope="key")], "clock": clock, "name": name, "lease": 30.0}
    dead, living = (make_store(KIND, {"p": [SPEC]}, **options) for _ in range(2))
    lease = admitted(dead.admit(ask(PICO, prompt_tokens=4, prompt_charge=PICO // 10)))
    assert living.admit(ask(1)).budget is not None  # type: ignore[union-attr]
    clock.advance(29.0)
    assert living.snapshot().held_requests == 1
    clock.advance(2.0)
    snapshot = living.snapshot()
    assert (snapshot.held_requests, snapshot.held_tokens, snapshot.keys[0].tpm_used) == (0, 0, 4)
    assert [(status.used, status.reserved) for status in snapshot.budgets] == [(PICO // 10, 0)] * 2
    assert isinstance(living.admit(ask(PICO // 2)), KeyLease)
    if sleeps:
        assert dead.settle(lease.reservation.id, Settlement(8, PICO // 5))
        assert [status.used for status in living.snapshot().budgets] == [PICO // 5] * 2
        assert living.snapshot().spent == PICO // 5


def test_ctrl_c_in_the_midst_of_a_round_trip(closing: ExitStack) -> None:
    """A call that is interrupted while it waits for the reply is given back by id, though its reservation was made."""
    toll = closing.enter_context(Toll(client_port()))
    state = state_of(closing, toll.url, budgets=[Budget(1.0)])
    state.release(admitted(state.admit(ask())).reservation.id)
    toll.delay = 0.6
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            state.admit(ask(PICO // 2))
    finally:
        signal.signal(signal.SIGALRM, previous)
    toll.delay = 0.0
    snapshot = state.snapshot()
    assert (snapshot.held_requests, snapshot.budgets[0].reserved, snapshot.keys[0].rpm_used) == (0, 0, 0)
    lease = admitted(state.admit(ask(PICO // 2)))
    toll.delay = 0.6
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            state.settle(lease.reservation.id, Settlement(5, 7))
    finally:
        signal.signal(signal.SIGALRM, previous)
    toll.delay = 0.0
    assert not state.settle(lease.reservation.id, Settlement(5, 7))
    snapshot = state.snapshot()
    assert (snapshot.held_requests, snapshot.spent, snapshot.budgets[0].used) == (0, 7, 7)


def test_p36_every_operation_may_run_twice(closing: ExitStack) -> None:
    """Admission, settlement, release, renewal, report and revival: the first reply of each is lost, and nothing counts twice."""
    toll = closing.enter_context(Toll(client_port()))
    state = state_of(closing, toll.url, budgets=[Budget(1.0)])
    state.snapshot()

    def twice(operation: Any) -> Any:
        toll.lose, before = 1, toll.exchanges
        answer = operation()
        assert toll.exchanges >= before + 2
        return answer

    state.release(admitted(state.admit(ask(1))).reservation.id)  # the scripts are there
    first, second = (admitted(twice(lambda: state.admit(ask(PICO // 4)))) for _ in range(2))
    assert (state.snapshot().held_requests, state.snapshot().budgets[0].reserved) == (2, PICO // 2)
    assert twice(lambda: state.settle(first.reservation.id, Settlement(3, 5, Verdict.failure())))
    assert twice(lambda: state.release(second.reservation.id))
    twice(state.beat)
    snapshot = state.snapshot()
    key = snapshot.keys[0]
    assert (key.rpm_used, key.tpm_used, key.consecutive_failures) == (1, 3, 1)
    assert (snapshot.spent, snapshot.budgets[0].used, snapshot.budgets[0].reserved, snapshot.held_requests) == (5, 5, 0, 0)
    twice(lambda: state.revive("k"))
    assert state.snapshot().keys[0].consecutive_failures == 0


def client_port() -> int:
    return int(url_of(KIND).rpartition(":")[2].partition("/")[0])


def test_what_a_process_does_not_know_of_is_given_back(closing: ExitStack) -> None:
    """A reservation whose owner lost its name is released by the second beat that finds it."""
    clock = one_clock()
    state: Any = make_store(KIND, {"p": [SPEC]}, clock=clock)
    lease = admitted(state.admit(ask()))
    state._endings.drop(lease.reservation.id)
    state.beat()
    assert state.snapshot().held_requests == 1
    state.beat()
    assert state.snapshot().held_requests == 0


def test_dropped_leases_are_found_by_a_beat(closing: ExitStack) -> None:
    """Where no operation follows, the pulse gives back what was dropped."""
    state: Any = make_store(KIND, {"p": [SPEC]}, clock=one_clock())
    lease = state.admit(ask())
    del lease
    gc.collect()
    state._endings.ledger.lost.clear()  # as if an interrupt had come between taking and telling
    state.beat()
    assert state.snapshot().held_requests == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_another_process(closing: ExitStack) -> None:
    """The child has connections and an owner of its own; what the parent holds is the parent's, and both work on."""
    state = state_of(closing)
    lease = admitted(state.admit(ask()))
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 1
        try:
            signal.alarm(10)
            state.after_fork()
            kept = admitted(state.admit(ask()))
            held = state.snapshot().held_requests
            code = int(
                not (
                    held == 2
                    and not state.settle(lease.reservation.id, Settlement(1, 1))
                    and state.settle(kept.reservation.id, Settlement(1, 1))
                )
            )
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert state.snapshot().held_requests == 1
    assert state.settle(lease.reservation.id, Settlement(1, 1))
    assert state.snapshot().keys[0].rpm_used == 2


def test_no_key_goes_to_the_server(closing: ExitStack, plain: Any) -> None:
    """Whatever a gateway does, neither its key nor a prompt is in any key or value of the server."""
    provider = closing.enter_context(LocalProvider())
    state = RedisState(url_of(KIND), name=new_name(), timeout=5.0)
    closing.callback(state.close)
    builder = GatewayBuilder(provider.endpoint(ProviderProtocol.OPENAI_CHAT_COMPLETIONS)).default_model("gpt-4.1-mini")
    gateway = builder.add_key(KeyConfig("sk-SECRET-of-the-state", "prod")).budget_limit_usd(5).state(state).build()
    closing.enter_context(gateway)
    gateway.call("a prompt that nobody else may read", tenant="acme")
    keys = keys_of(plain, state)
    shown = b"".join([plain.dump(key) + key.encode() for key in keys])
    assert keys
    assert b"SECRET" not in shown
    assert b"nobody else" not in shown
    assert any(":prod" in key for key in keys)


def test_a_call_is_two_round_trips(closing: ExitStack) -> None:
    """Admission is one, settlement is one more; what the provider's headers say rides along."""
    toll = closing.enter_context(Toll(client_port()))
    provider = closing.enter_context(LocalProvider())
    state = RedisState(toll.url, name=new_name(), timeout=5.0)
    closing.callback(state.close)
    builder = GatewayBuilder(provider.endpoint(ProviderProtocol.OPENAI_CHAT_COMPLETIONS)).default_model("gpt-4.1-mini")
    gateway = builder.add_key(KeyConfig("sk-1", "k", rpm_limit=10_000)).budget_limit_usd(5).state(state).build()
    closing.enter_context(gateway)
    gateway.call("hi")
    before = toll.exchanges
    for _ in range(10):
        gateway.call("hi")
    assert toll.exchanges - before == 20
    before = toll.exchanges
    for _ in gateway.stream("hi"):
        pass
    assert toll.exchanges - before == 2


def test_the_state_grows_with_keys_and_not_with_calls(closing: ExitStack, plain: Any) -> None:
    """After many calls there are as many keys as after few; all that is no money expires."""
    state = state_of(closing)
    state.add_pool("q", [KeySpec(label, 10**9, 10**9, {"own": ModelLimits(10**9, 10**9)}) for label in "ab"])
    for number in range(300):
        lease = admitted(state.admit(Ask("q", "own" if number % 2 else "m", 1, 0)))
        state.settle(lease.reservation.id, Settlement(1, 0, Verdict.success()))
        if number == 50:
            few = len(keys_of(plain, state))
    keys = keys_of(plain, state)
    assert len(keys) == few <= 7
    owner = state._owner.decode()
    assert plain.hlen(f"{state._prefix}held:{owner}") <= 64
    lasting = [key for key in keys if plain.ttl(key) < 0]
    assert all(key.endswith(":books") for key in lasting)


def test_waiters_ask_twenty_times_a_second(closing: ExitStack) -> None:
    """However many threads wait in however many queues, this process asks the server no more than 20 times a second."""
    toll = closing.enter_context(Toll(client_port()))
    state = RedisState(toll.url, name=new_name(), timeout=5.0)
    closing.callback(state.close)
    state.add_pool("p", [KeySpec("k", 1_000, 1, {model: ModelLimits(10, 1) for model in "abcd"})])
    kept = [admitted(state.admit(Ask("p", model, 1, 0))) for model in "abcdm"]
    pool = KeyPool(state, "p")

    def wait(model: str) -> None:
        with pytest.raises(Exception, match="windows"):
            pool.acquire(Ask("p", model, 1, 0), timeout=1.0)

    threads = [threading.Thread(target=wait, args=(model,)) for model in "abcdmm" * 2]
    before, begun = toll.exchanges, time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = toll.exchanges - before
    first_and_last = 2 * len(threads)
    renewals = len(kept)  # of what is held meanwhile, at the most
    slots = 20 * (time.monotonic() - begun) + 1  # of a twentieth of a second, the one that is begun too
    assert asked <= slots + first_and_last + renewals
    assert len(kept) == 5


def test_a_report_is_heard_with_the_next_operation(closing: ExitStack) -> None:
    """What one process was told by the provider holds for all, once it has said anything else."""
    from omnillm.policy.hints import ObservedLimits

    clock, name = one_clock(), new_name()
    first, second = (make_store(KIND, {"p": [SPEC]}, clock=clock, name=name) for _ in range(2))
    lease = admitted(first.admit(ask()))
    first.report("p", "k", "m", ObservedLimits(remaining_requests=0, reset_requests=7.0))
    first.report("p", "k", "m", ObservedLimits(remaining_tokens=900, reset_tokens=3.0))
    assert first.settle(lease.reservation.id, Settlement(10, 0))
    assert second.admit(ask()).retry_after == pytest.approx(7.0, abs=1e-4)  # type: ignore[union-attr]


def test_the_same_pool_again_is_the_same_and_another_is_refused(closing: ExitStack) -> None:
    """Within one process what differs is a configuration error, as in memory."""
    state = state_of(closing, budgets=[Budget(1.0)])
    state.add_budgets([Budget(1.0)])
    state.add_pool("p", [SPEC], config=PoolConfig(acquire_timeout=5, default_output_tokens=9))
    for differing in (
        lambda: state.add_pool("p", [KeySpec("k", 1_000, 99)]),
        lambda: state.add_pool("p", [SPEC], config=PoolConfig(selection="latency")),
        lambda: state.add_pool("q", [SPEC, SPEC]),
        lambda: state.add_pool("q", [KeySpec("a\0b", 1, 1)]),
        lambda: state.add_budgets([Budget(2.0)]),
        lambda: state.report("p", "x", "m", None),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigurationError):
            differing()


def test_a_model_that_keys_are_denied_has_a_queue_of_its_own(closing: ExitStack) -> None:
    """A 403 that this process saw, or was told of, gives the model's calls their own queue."""
    clock, name = one_clock(), new_name()
    first, second = (make_store(KIND, {"p": [SPEC]}, clock=clock, name=name) for _ in range(2))
    lease = admitted(first.admit(ask()))
    first.settle(lease.reservation.id, Settlement(1, 0, Verdict.set_aside(per_model=True)))
    assert (first.queue("p", "m"), second.queue("p", "m")) == ("m", None)
    assert second.admit(ask()) == Refusal("dead")
    assert second.queue("p", "m") == "m"
    assert isinstance(second.admit(Ask("p", "other", 1, 0)), KeyLease)


def test_idle_accounts_are_forgotten(closing: ExitStack, plain: Any) -> None:
    """Of tenants that spent nothing, or in a day long past, nothing is left after some beats."""
    clock = one_clock()
    state: Any = make_store(
        KIND, {"p": [KeySpec("k", 10**9, 10**9)]}, clock=clock, budgets=[Budget(1.0, scope="tenant", window="day")]
    )
    lease = admitted(state.admit(ask(1, tenant="kept")))
    past = struct.pack("<5d", 0, 1, 0, 0, clock.wall() - 1)
    plain.hset(f"{state._prefix}books", mapping={f"tenant:day:UTC:=t{number}": past for number in range(1_100)})
    for _ in range(12):
        state.beat()
    assert plain.hlen(f"{state._prefix}books") < 1_100
    assert plain.hexists(f"{state._prefix}books", "tenant:day:UTC:=kept")
    assert state.release(lease.reservation.id)


def test_a_state_that_is_closed_twice_and_used_again(closing: ExitStack) -> None:
    """Closing is idempotent, and connections come back with the next operation."""
    state = state_of(closing)
    state.close()
    state.close()
    assert isinstance(state.admit(ask()), KeyLease)


def test_an_unreachable_server_is_told_by_every_look(closing: ExitStack) -> None:
    """Snapshots, peeks and budgets raise the one error, too."""
    toll = closing.enter_context(Toll(client_port()))
    state = state_of(closing, toll.url, budgets=[Budget(1.0)])
    state.snapshot()
    toll.down()
    for look in (state.snapshot, lambda: state.peek(ask()), lambda: state.budget_left(ask()), lambda: state.revive("k")):
        with pytest.raises(StateUnavailableError):
            look()


def test_budgets_that_come_late_count_all_the_same(closing: ExitStack) -> None:
    """A pool that was used before there were budgets is held to them from then on."""
    state = RedisState(url_of(KIND), name=new_name(), timeout=5.0)
    closing.callback(state.close)
    state.add_pool("p", [SPEC])
    state.release(admitted(state.admit(ask())).reservation.id)
    state.add_budgets([Budget(1.0)])
    assert state.admit(ask(2 * PICO)).budget is not None  # type: ignore[union-attr]
