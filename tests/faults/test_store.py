"""Faults of the shared state's server: money fails closed, windows by rule, and what was sent twice counts once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from stores import Server, new_name, servers
from toll import Toll

from omnillm.errors import StateUnavailableError
from omnillm.policy.limits import PICO, Budget
from omnillm.state import Ask, KeyLease, KeySpec, Refusal, Settlement
from omnillm.state.redis import RedisState
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer
from omnillm.types.hooks import AttemptStarted

States = Callable[..., RedisState]
CHARGE = PICO // 2


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that nobody spoils."""
    yield from servers()


@pytest.fixture
def spoilt() -> Iterator[Server]:
    """A server of the test's own."""
    yield from servers()


@pytest.fixture
def toll(server: Server) -> Iterator[Toll]:
    with Toll(server.port) as it:
        yield it


@pytest.fixture
def states(closing: ExitStack) -> States:
    """Make states that are closed when the test is over: one key ``k``, and the budgets given."""

    def make(url: Any, *, rpm: int = 100, budgets: tuple[Budget, ...] = (), **options: Any) -> RedisState:
        options.setdefault("name", new_name())
        options.setdefault("timeout", 2.0)
        state = RedisState(url, **options)
        closing.callback(state.close)
        state.add_budgets(budgets)
        state.add_pool("p", [KeySpec("k", 1_000, rpm)])
        return state

    return make


def ask(charge: int = 0, tokens: int = 10) -> Ask:
    return Ask("p", "m", tokens, charge)


def admitted(outcome: KeyLease | Refusal) -> KeyLease:
    assert isinstance(outcome, KeyLease), outcome
    return outcome


def settle(state: RedisState, lease: KeyLease, charge: int = 0) -> bool:
    return state.settle(lease.reservation.id, Settlement(5, charge))


def down() -> str:
    """Give the URL of a server that is not there."""
    gone = ScriptedServer()
    gone.close()
    return gone.base_url.replace("http", "redis")


def test_row_60_down_at_the_start(provider: LocalProvider, build: Any, states: States) -> None:
    """A gateway on a server that is down is built; its first call is refused, and nothing is sent."""
    gateway = build(provider, state=RedisState(down()))
    with pytest.raises(StateUnavailableError, match="cannot be reached") as caught:
        gateway.call("hi")
    assert (caught.value.sent, provider.requests) == ("no", ())


@pytest.mark.parametrize("rule", ["closed", "local_share"])
def test_row_61_down_before_the_reservation(states: States, toll: Toll, rule: Any) -> None:
    """Money is refused whatever the rule; without it the rule decides, and the share is the process's part of the limits."""
    name = new_name()
    state = states(toll.url, rpm=4, on_state_error=rule, name=name)
    costly = states(toll.url, rpm=4, on_state_error=rule, budgets=(Budget(1.0),))
    other = states(toll.url, rpm=4, name=name)
    assert settle(other, admitted(other.admit(ask())))
    assert settle(state, admitted(state.admit(ask())))
    state.beat()  # it hears of two processes
    toll.down()
    with pytest.raises(StateUnavailableError):
        costly.admit(ask(CHARGE))
    if rule == "closed":
        with pytest.raises(StateUnavailableError):
            state.admit(ask())
        return
    shares = [admitted(state.admit(ask())) for _ in range(2)]
    assert state.admit(ask()).reason == "window"  # type: ignore[union-attr]
    assert all(settle(state, lease) for lease in shares)
    assert isinstance(costly.admit(ask(0)), KeyLease)


def test_p38_never_a_mix_within_one_call(states: States, toll: Toll) -> None:
    """What the share admitted settles with the share, though the server is back; and the other way round."""
    state = states(toll.url, on_state_error="local_share")
    ours = admitted(state.admit(ask()))
    toll.down()
    shared = admitted(state.admit(ask()))
    toll.up()
    assert settle(state, shared)
    assert settle(state, ours)
    assert not settle(state, shared)
    key = state.snapshot().keys[0]
    assert (key.rpm_used, key.tpm_used, state.snapshot().held_requests) == (1, 5, 0)


def test_row_62_down_before_the_settlement(provider: LocalProvider, build: Any, states: States, toll: Toll) -> None:
    """The caller has the answer; what it cost stays reserved until the server is told, and is then spent once."""
    state = RedisState(toll.url, name=new_name(), timeout=2.0)
    heard: list[Any] = []

    def pull(event: Any) -> None:
        heard.append(event)
        if isinstance(event, AttemptStarted):
            toll.down()

    gateway = build(provider, state=state, on_event=pull, budget_limit_usd=5_000)
    answer = gateway.call("hi")
    assert answer.text
    toll.up()
    assert gateway.budget_used_usd() == 0
    state._endings.waiting.copy().popitem()[1].due = 0.0  # a second later
    assert gateway.budget_used_usd() == answer.meta.cost_usd > 0
    (budget,) = state.snapshot().budgets
    assert (budget.reserved, state.snapshot().held_requests) == (0, 0)
    state.close()


@pytest.mark.parametrize("lost", [1, 2])
def test_row_63_the_reply_is_lost(states: States, toll: Toll, lost: int) -> None:
    """An operation whose reply is lost is asked again, and gives the same verdict; two losses are an error that holds nothing."""
    state = states(toll.url, rpm=1, budgets=(Budget(1.0),))
    assert settle(state, admitted(state.admit(ask(0, tokens=0))))
    state.release("none")
    toll.lose = lost
    if lost == 2:
        fresh = states(toll.url, budgets=(Budget(1.0),))
        toll.lose = 0
        assert settle(fresh, admitted(fresh.admit(ask())))
        toll.lose = 2
        with pytest.raises(StateUnavailableError):
            fresh.admit(ask(CHARGE))
        snapshot = fresh.snapshot()
        assert (snapshot.held_requests, snapshot.budgets[0].reserved, snapshot.keys[0].rpm_used) == (0, 0, 1)
        return
    roomy = states(toll.url, budgets=(Budget(1.0),))
    toll.lose = 0
    settle(roomy, admitted(roomy.admit(ask())))
    toll.lose = 1
    lease = admitted(roomy.admit(ask(CHARGE)))
    assert (roomy.snapshot().held_requests, roomy.snapshot().budgets[0].reserved) == (1, CHARGE)
    toll.lose = 1
    assert settle(roomy, lease, CHARGE)
    assert not settle(roomy, lease, CHARGE)
    snapshot = roomy.snapshot()
    assert (snapshot.held_requests, snapshot.spent, snapshot.budgets[0].used, snapshot.keys[0].rpm_used) == (0, CHARGE, CHARGE, 2)


def test_row_64_a_slow_server(states: States, toll: Toll) -> None:
    """A reply is waited for so long, twice; what comes later is nobody's, and what it did is undone."""
    state = states(toll.url, timeout=0.1)
    settle(state, admitted(state.admit(ask())))
    toll.delay = 0.4
    begun = time.monotonic()
    with pytest.raises(StateUnavailableError, match="in time"):
        state.admit(ask())
    assert time.monotonic() - begun < 1.5
    toll.delay = 0.0
    time.sleep(0.5)
    assert (state.snapshot().held_requests, state.snapshot().keys[0].rpm_used) == (0, 1)


def test_row_65_scripts_are_forgotten(states: States, spoilt: Server) -> None:
    """After SCRIPT FLUSH, and on a new server, the scripts are sent again with the same operation."""
    state = states(spoilt.url)
    lease = admitted(state.admit(ask()))
    with spoilt.client() as plain:
        plain.script_flush()
        assert settle(state, lease)
        plain.script_flush()
        assert isinstance(state.admit(ask()), KeyLease)
    spoilt.stop()
    spoilt.start()
    again = admitted(state.admit(ask()))
    assert state.snapshot().keys[0].rpm_used == 1
    assert settle(state, again)


def test_row_66_a_replica_that_missed_writes(states: States, closing: ExitStack) -> None:
    """After a failover the calls that the new master never heard of are spent when they settle; its windows know less."""
    master, replica = (closing.enter_context(_opened()) for _ in range(2))
    toll = closing.enter_context(Toll(master.port))
    state = states(toll.url, budgets=(Budget(2.0),))
    settle(state, admitted(state.admit(ask(CHARGE))), CHARGE)
    with replica.client() as plain:
        plain.replicaof("127.0.0.1", master.port)
        _until(lambda: plain.info("replication")["master_link_status"] == "up" and plain.dbsize() > 0)
        plain.replicaof("NO", "ONE")
    lease = admitted(state.admit(ask(CHARGE)))
    toll.down()
    toll.up(replica.port)
    assert state.snapshot().keys[0].rpm_used == 1
    assert settle(state, lease, CHARGE)
    snapshot = state.snapshot()
    assert (snapshot.spent, snapshot.budgets[0].used, snapshot.budgets[0].reserved) == (2 * CHARGE, 2 * CHARGE, 0)


def test_row_67_the_memory_is_lost(states: States, spoilt: Server) -> None:
    """After FLUSHALL windows begin empty, and money is refused until somebody opens new books."""
    state = states(spoilt.url, rpm=1, budgets=(Budget(1.0),))
    free = states(spoilt.url, rpm=1)
    kept = admitted(state.admit(ask(CHARGE)))
    assert isinstance(free.admit(ask()), KeyLease)
    with spoilt.client() as plain:
        plain.flushall()
    assert isinstance(free.admit(ask()), KeyLease)
    with pytest.raises(StateUnavailableError, match="reopen"):
        state.admit(ask(1))
    assert settle(state, kept, CHARGE)
    with pytest.raises(StateUnavailableError, match="reopen"):
        state.admit(ask(1))
    state.reopen()
    assert isinstance(state.admit(ask(1)), KeyLease)
    assert state.snapshot().budgets[0].used == 0


def _read_only(plain: Any, _: str) -> None:
    plain.replicaof("127.0.0.1", 1)


def _full(plain: Any, _: str) -> None:
    plain.config_set("maxmemory", 1)


def _wrong_type(plain: Any, name: str) -> None:
    plain.set(f"omnillm:{{{name}}}:books", "no hash")


def _locked(plain: Any, _: str) -> None:
    plain.config_set("requirepass", "sesame-sk-CANARY")


TROUBLES = [(_read_only, "replica"), (_full, "memory"), (_wrong_type, "other things"), (_locked, "password")]


@pytest.mark.parametrize(("spoil", "says"), TROUBLES, ids=[says.replace(" ", "-") for _, says in TROUBLES])
def test_row_68_a_server_that_does_not_want(states: States, spoilt: Server, spoil: Any, says: str) -> None:
    """A replica, a full server, other things under our names, a password that is missing: closed, and the text says why."""
    name = new_name()
    state = states(spoilt.url.replace("redis://", "redis://:wrong-sesame@") if spoil is _locked else spoilt.url, name=name)
    with spoilt.client() as plain:
        spoil(plain, name)
        state.add_budgets(())
        costly = states(spoilt.url, name=name, budgets=(Budget(1.0),))
        for store in (state, costly):
            if store is state and spoil is _wrong_type:
                continue  # without budgets the books are not looked at
            with pytest.raises(StateUnavailableError, match=says) as caught:
                store.admit(ask(1 if store is costly else 0))
            assert "sesame" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_row_68_one_node_of_a_cluster(states: States, closing: ExitStack) -> None:
    """All keys of a state are in one slot: a cluster's client finds it, and its node takes every script."""
    node = closing.enter_context(_opened("--cluster-enabled", "yes"))
    with node.client() as plain:
        plain.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        _until(lambda: b"cluster_state:ok" in plain.execute_command("CLUSTER", "INFO"))
        cluster = closing.enter_context(redis.RedisCluster(host="127.0.0.1", port=node.port))
        state = states(cluster, budgets=(Budget(1.0), Budget(1.0, scope="key")))
        lease = admitted(state.admit(ask(CHARGE)))
        state.report("p", "k", "m", _nothing_said())
        state.beat()
        assert settle(state, lease, CHARGE)
        assert [status.used for status in state.snapshot().budgets] == [CHARGE, CHARGE]
        assert len({plain.execute_command("CLUSTER", "KEYSLOT", key) for key in plain.keys("*")}) == 1


def test_row_69_limits_and_clocks_that_differ(states: States, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Two processes with other limits share what is used, each goes by its own, and the log tells; the server's clock counts."""
    name = new_name()
    wrong = FakeClock(monotonic=5.0, wall=1_000.0)
    small = states(server.url, name=name, rpm=1, budgets=(Budget(1.0, window="day"),))
    large = states(server.url, name=name, rpm=3, budgets=(Budget(2.0, window="day"),), clock=wrong)
    settle(small, admitted(small.admit(ask(CHARGE))), CHARGE)
    with caplog.at_level(logging.WARNING, "omnillm"):
        settle(large, admitted(large.admit(ask(CHARGE))), CHARGE)
    assert "other limits" in caplog.text
    assert small.admit(ask(0)).reason == "window"  # type: ignore[union-attr]
    refused = small.admit(ask(1))
    assert refused.budget is not None  # type: ignore[union-attr]
    assert refused.budget.resets_at > time.time()  # type: ignore[union-attr]
    assert isinstance(large.admit(ask(CHARGE)), KeyLease)
    assert {status.used for state in (small, large) for status in state.snapshot().budgets} == {2 * CHARGE}


def _nothing_said() -> Any:
    from omnillm.policy.hints import ObservedLimits

    return ObservedLimits(remaining_requests=50)


def _opened(*options: str) -> Any:
    from contextlib import contextmanager

    return contextmanager(servers)(*options)


def _until(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.02)
