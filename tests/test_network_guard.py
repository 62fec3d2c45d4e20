"""The guard that keeps the tests off the network."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

OUTSIDE = ["192.0.2.1", "api.openai.com", "2001:db8::1", b"example.com", "127.0.0.1.example.com"]


@pytest.mark.parametrize("host", OUTSIDE)
def test_a_host_elsewhere_is_not_looked_up(host: str | bytes) -> None:
    """A name or address that is not this machine fails the test that asks for it, whatever catches exceptions."""
    with pytest.raises(pytest.fail.Exception):
        socket.getaddrinfo(host, 443)


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_a_host_elsewhere_is_not_reached(method: str) -> None:
    """An address that is not this machine fails the test that connects to it."""
    with closing(socket.socket()) as client, pytest.raises(pytest.fail.Exception):
        getattr(client, method)(("192.0.2.1", 9))


def test_a_datagram_does_not_leave() -> None:
    """A datagram to another machine fails the test that sends it."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client, pytest.raises(pytest.fail.Exception):
        client.sendto(b"x", ("192.0.2.1", 9))


def test_this_machine_is_reached() -> None:
    """Loopback stays open."""
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as server,
        closing(socket.create_connection(("localhost", server.getsockname()[1]), timeout=5)) as client,
    ):
        assert client.getpeername() == server.getsockname()
