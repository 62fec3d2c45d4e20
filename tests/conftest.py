"""What holds for every test: no network but loopback, no thread and no socket left behind, hypothesis without a stop-watch."""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from omnillm.errors import StateUnavailableError

JOIN_SECONDS = 2.0
pytest_plugins = ["canary"]

# Who starts the tests in the background may have had it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, so that a red run is red again; ``--hypothesis-profile=explore`` looks for new ones, and ``few``
# is for interpreters beside the one that takes them all.
settings.register_profile(
    "omnillm", deadline=None, max_examples=50, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("omnillm"), derandomize=False, max_examples=500)
settings.register_profile("few", settings.get_profile("omnillm"), max_examples=10)
settings.load_profile("omnillm")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what ``tox -e stress`` is told."""
    parser.addoption("--repeat", type=int, default=1, help="run each stress test so many times in a row")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat the stress tests."""
    times = metafunc.config.getoption("--repeat")
    if times > 1 and metafunc.definition.get_closest_marker("stress") is not None:
        metafunc.fixturenames.append("time_of_many")
        metafunc.parametrize("time_of_many", range(times), ids=lambda time: f"time{time + 1}")


def is_here(host: object) -> bool:
    """Tell whether a host given to the socket module is this machine."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        return False


def _refuse(host: object) -> None:
    # no OSError: the library would take it for an upstream that is down, and the test would go on
    pytest.fail(f"a test reached for the network: {host!r}")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Refuse to look up or to reach any host but this one."""
    look_up = socket.getaddrinfo

    def guarded(method: Any) -> Any:
        def reach(self: socket.socket, *args: Any) -> Any:
            address = args[-1]
            if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and not is_here(address[0]):
                _refuse(address[0])
            return method(self, *args)

        return reach

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_here(host):
            _refuse(host)
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_server_left() -> Iterator[None]:
    """Stop the servers of the shared state that tests have started."""
    yield
    stores = sys.modules.get("stores")
    if stores is not None:
        stores.stop_all()


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread behind which would hold up interpreter exit."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in left:
        thread.join(JOIN_SECONDS)
    assert not [thread.name for thread in left if thread.is_alive()]


LEAK_CHECKED = {"gateway", "people", "stress", "faults"}
PATIENCE_S = 5.0
STAYS = {"tqdm_monitor"}  # one thread of tqdm's for the whole process
DESCRIPTORS = Path("/proc/self/fd")


def _sockets() -> set[str]:
    """Name the sockets that this process has open; none where the system does not tell."""
    found = set()
    for descriptor in DESCRIPTORS.iterdir() if DESCRIPTORS.is_dir() else ():
        with contextlib.suppress(OSError):  # that of the listing itself
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test of gateways that leaves a thread, a socket, or quota or money that is held."""
    if request.path.parent.name not in LEAK_CHECKED:
        yield
        return
    threads, sockets, cores = set(threading.enumerate()), _sockets(), _cores()
    yield
    left: dict[str, Any] = {}
    until = time.monotonic() + PATIENCE_S
    while True:
        left = {
            "threads": [thread.name for thread in set(threading.enumerate()) - threads if thread.name not in STAYS],
            "sockets": sorted(_sockets() - sockets),
            "held": [held for core in _cores() - cores if any(held := _held(core))],
        }
        if not any(left.values()):
            return
        if time.monotonic() > until:
            break
        gc.collect()
        time.sleep(0.01)
    pytest.fail(f"left behind: {left}")


def _cores() -> set[Any]:
    """Give what there is of gateways, closed ones too."""
    core = sys.modules.get("omnillm.gateway.core")
    return set() if core is None else set(core._CORES)


def _held(core: Any) -> tuple[int, int]:
    core.mend()
    try:
        snapshot = core.store.snapshot()
    except StateUnavailableError:
        return (0, 0)  # the server of the state is gone
    return (snapshot.held_requests, sum(status.reserved for status in snapshot.budgets))


@pytest.fixture(autouse=True, scope="module")
def no_socket_left() -> Iterator[None]:
    """Collect what a module's tests left in cycles, so that an unclosed socket's warning, an error here, falls on that module."""
    yield
    gc.collect()
