"""The shared state behind a real Sentinel, and on a real cluster of three nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.sentinel import Sentinel
from stores import Server, binaries, new_name, servers

from omnillm.errors import StateUnavailableError
from omnillm.policy.limits import PICO, Budget
from omnillm.state import Ask, KeyLease, KeySpec, Settlement
from omnillm.state.redis import RedisState

CHARGE = PICO // 4
SLOTS = 16_384
PATIENCE_S = 30.0

opened = contextmanager(servers)


def until(happens: Callable[[], Any]) -> Any:
    """Wait for what the servers do among themselves."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            if (seen := happens()) is not None and seen is not False:
                return seen
        except (redis.RedisError, StateUnavailableError):
            pass
        assert time.monotonic() < ends, "the servers did not agree"
        time.sleep(0.02)


def state_on(client: Any, closing: ExitStack, name: str | None = None) -> RedisState:
    """Give a state with one key and a dollar."""
    state = RedisState(client, name=name or new_name(), timeout=5.0)
    closing.callback(state.close)
    state.add_budgets((Budget(1.0),))
    state.add_pool("p", [KeySpec("k", 1_000, 100)])
    return state


def admitted(state: RedisState) -> KeyLease:
    lease = state.admit(Ask("p", "m", 10, CHARGE))
    assert isinstance(lease, KeyLease), lease
    return lease


def called(state: RedisState) -> bool:
    """Make one call."""
    return state.settle(admitted(state).reservation.id, Settlement(5, CHARGE))


def watched(folder: Path, master: Server, closing: ExitStack) -> Sentinel:
    """Start a Sentinel that watches the master, and give a client of it."""
    rules = folder / "sentinel.conf"
    rules.write_text(
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 2000\n"
    )
    watcher = closing.enter_context(contextmanager(_sentinels)(str(rules)))
    sentinel = Sentinel([("127.0.0.1", watcher.port)], socket_timeout=5.0)
    closing.callback(sentinel.sentinels[0].close)
    return sentinel


def _sentinels(rules: str) -> Iterator[Server]:
    sentinel = Server(next(iter(binaries()), "none"), leading=(rules, "--sentinel"))
    try:
        yield sentinel
    finally:
        sentinel.close()


def test_row_66_sentinel_names_another_master(tmp_path: Path, closing: ExitStack) -> None:
    """The master dies: calls are refused until Sentinel has made the replica master, then go on; what was spent stays spent."""
    master, replica = (closing.enter_context(opened()) for _ in range(2))
    with replica.client() as plain:
        plain.replicaof("127.0.0.1", master.port)
        until(lambda: plain.info("replication")["master_link_status"] == "up")
    sentinel = watched(tmp_path, master, closing)
    until(lambda: sentinel.discover_slaves("main"))
    state = state_on(closing.enter_context(sentinel.master_for("main", socket_timeout=5.0)), closing)
    assert called(state)
    lease = admitted(state)
    with master.client() as plain:
        plain.wait(1, 5_000)
    master.stop()
    with pytest.raises(StateUnavailableError):
        state.admit(Ask("p", "m", 10, CHARGE))
    until(lambda: called(state))
    assert state.settle(lease.reservation.id, Settlement(5, CHARGE))
    assert state.snapshot().budgets[0].used == 3 * CHARGE
    assert sentinel.discover_master("main")[1] == replica.port


@pytest.fixture
def nodes(closing: ExitStack) -> list[Server]:
    """A cluster of three, each with a third of the slots."""
    nodes = [closing.enter_context(opened("--cluster-enabled", "yes", "--cluster-node-timeout", "15000")) for _ in range(3)]
    thirds = [range(SLOTS * third // 3, SLOTS * (third + 1) // 3) for third in range(3)]
    clients = [closing.enter_context(node.client()) for node in nodes]
    for client, slots in zip(clients, thirds, strict=True):
        client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    until(lambda: all(known(client) == len(nodes) for client in clients))
    return nodes


def known(client: Any) -> int:
    """Count the nodes that a node knows, once it deems the cluster well."""
    told = client.execute_command("CLUSTER", "INFO")
    info = told if isinstance(told, dict) else dict(line.split(":") for line in told.decode().split())
    return int(info["cluster_known_nodes"]) if info["cluster_state"] == "ok" else 0


def test_row_68_names_are_spread_over_a_cluster(nodes: list[Server], closing: ExitStack) -> None:
    """Each name has its keys on one node, other names on others, and each counts for itself."""
    cluster = closing.enter_context(redis.RedisCluster(host="127.0.0.1", port=nodes[1].port))
    states = [state_on(cluster, closing) for _ in range(12)]
    assert all(called(state) for state in states for _ in range(2))
    assert {state.snapshot().budgets[0].used for state in states} == {2 * CHARGE}
    homes = [closing.enter_context(node.client()).dbsize() for node in nodes]
    assert sum(home > 0 for home in homes) > 1, homes


def test_row_68_a_slot_moves_to_another_node(nodes: list[Server], closing: ExitStack) -> None:
    """While a slot is moved the state's calls follow it, and the money that was spent there comes with it."""
    name = new_name()
    cluster = closing.enter_context(redis.RedisCluster(host="127.0.0.1", port=nodes[0].port))
    state = state_on(cluster, closing, name)
    lease = admitted(state)
    assert called(state)
    slot = cluster.keyslot(f"omnillm:{{{name}}}:books")
    clients = [closing.enter_context(node.client()) for node in nodes]
    source = next(n for n, client in enumerate(clients) if client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot))
    target = (source + 1) % len(nodes)
    move(slot, clients, source, target, nodes[target].port)
    until(lambda: called(state))
    assert state.settle(lease.reservation.id, Settlement(5, CHARGE))
    assert state.snapshot().budgets[0].used == 3 * CHARGE
    assert clients[source].dbsize() == 0


def move(slot: int, clients: list[Any], source: int, target: int, port: int) -> None:
    """Move a slot with all that is in it, as ``redis-cli --cluster reshard`` does."""
    ids = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]
    clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    clients[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    for key in clients[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1_000):
        clients[source].execute_command("MIGRATE", "127.0.0.1", port, key, 0, 5_000)
    for client in (clients[target], *clients):
        client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
