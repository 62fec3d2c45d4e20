"""What the tests of the transport share: a transport that is closed at the end, and a way to call it that is short."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omnillm._clock import Deadline
from omnillm.transport import HttpRequest, HttpResponse, HttpTransport

CERTS = Path(__file__).parent / "certs"
Send = Callable[..., HttpResponse]


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    """Give a transport that trusts the tests' authority."""
    transport = HttpTransport(ca_bundle=CERTS / "ca.pem")
    yield transport
    transport.close()


@pytest.fixture
def send(transport: HttpTransport) -> Iterator[Send]:
    """Give a function that sends a request with generous limits, and closes what came back when the test is over."""
    answers = []

    def send(url: str, **options: Any) -> HttpResponse:
        request = HttpRequest(
            options.pop("method", "POST"),
            url,
            options.pop("headers", {"Authorization": "Bearer sk-1"}),
            options.pop("body", b"{}"),
        )
        settings: dict[str, Any] = {"deadline": Deadline.after(options.pop("total", 5.0)), "connect": 2.0, "first_byte": math.inf}
        sender: HttpTransport = options.pop("transport", transport)
        answer = sender.send(request, **(settings | options))
        answers.append(answer)
        return answer

    yield send
    for answer in answers:
        answer.close()


@pytest.fixture
def server_context() -> Callable[[str], ssl.SSLContext]:
    """Give a function that makes a server's TLS of one of the certificates: loopback, elsewhere, expired."""

    def make(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTS / f"{name}.pem")
        return context

    return make


@pytest.fixture
def tarpit() -> Iterator[str]:
    """Give the URL of a port whose queue is full: it answers no SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first, socket.socket() as second:
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield "http://{}:{}/".format(*listener.getsockname())
