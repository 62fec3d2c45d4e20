"""Faults on the way to a connection: nothing was sent, nothing is charged."""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from fault_play import CERTS, SHORT, Play

from omnillm.config import TransportConfig
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import expect, respond, send, stall, tls

TRUSTING = TransportConfig(ca_bundle=str(CERTS / "ca.pem"))


def at(url: str) -> ProviderEndpoint:
    return ProviderEndpoint("openai_chat_completions", url)


def certificate(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / f"{name}.pem")
    return context


@pytest.fixture
def tarpit() -> Iterator[str]:
    """Give the URL of a port whose queue is full: it answers no SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first, socket.socket() as second:
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield "http://{}:{}".format(*listener.getsockname())


def closed() -> str:
    """Give the URL of a port at which nobody listens."""
    server = ScriptedServer()
    server.close()
    return server.base_url


def test_row_1_the_name_does_not_resolve(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is none is no connection; the text names it, and nothing takes a place in the window."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    played = play([], target=at("https://nowhere.invalid/v1"))
    assert "nowhere.invalid:443: the name does not resolve" in str(played.error)
    assert played.gateway.pool_status()[0].rpm_used == 0


@pytest.mark.parametrize(
    ("face", "times", "timeout"), [("", {"connect": 0.02}, None), ("the call's time is over by then", {}, 0.02)], ids=["", "over"]
)
def test_row_2_the_resolver_stalls(
    play: Play, monkeypatch: pytest.MonkeyPatch, face: str, times: dict[str, float], timeout: float | None
) -> None:
    """A name that comes too late is none: nothing is sent, and the call ends as soon as the resolver lets it."""
    resolve = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        time.sleep(0.1)
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    play([stall()], face=face, timeouts=times, options={"timeout": timeout} if timeout else {}, within=0.2)


def test_row_3_the_connection_is_refused(play: Play) -> None:
    """A port at which nobody listens is tried again."""
    assert "refused" in str(play([], target=at(closed())).error)


def test_row_4_nobody_answers_the_syn(play: Play, tarpit: str) -> None:
    """A connection that does not come about ends with its own time, not with the call's."""
    play([], target=at(tarpit), timeouts={"connect": SHORT}, within=2 * SHORT)


@pytest.mark.parametrize("fault", ["elsewhere", "expired", "unknown authority", "old protocol"])
def test_row_5_tls_that_is_not_to_be_trusted(play: Play, serve: Any, fault: str) -> None:
    """Wrong host, expired, signed by nobody we know, TLS 1.1: the request is not sent."""
    context = certificate(fault if fault in ("elsewhere", "expired") else "loopback")
    if fault == "old protocol":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    server = serve([tls(context), expect(), respond()], scheme="https")
    transport = TransportConfig() if fault == "unknown authority" else TRUSTING
    play([], target=at(f"{server.base_url}/v1"), transport=transport)
    assert server.requests == []


@pytest.mark.parametrize("steps", [[stall()], [send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), stall()]])
def test_row_6_https_to_a_plain_port(play: Play, serve: Any, steps: list[Any]) -> None:
    """A port that speaks no TLS is given up within the connect time-out, whether it answers or not."""
    server = serve(steps, scheme="https")
    play([], face="https to a plain port", target=at(server.base_url), timeouts={"connect": SHORT}, within=SHORT)


def test_row_6_http_to_a_tls_port(play: Play) -> None:
    """A port that answers with an alert of TLS is named for what it is; one that hangs up is a lost connection."""
    alert = b"\x15\x03\x01\x00\x02\x02\x46"
    played = play([expect(), send(alert), stall()], face="http to a TLS port that says so", requests=1)
    assert "expected https" in str(played.error)
    play([tls(certificate("loopback"))], face="http to a TLS port that hangs up", requests=0)


def test_row_7_a_proxy_that_does_not_answer(play: Play, closing: Any) -> None:
    """A dead proxy is a connection that does not come about; its password is in no text."""
    proxy = closed().replace("http://", "http://bob:hunter2@")
    played = play(
        [], face="does not answer", target=at("https://api.example.com/v1"), transport=TransportConfig(proxies={"https": proxy})
    )
    assert "hunter2" not in str(played.error) + repr(played.attempts)


def test_row_7_a_proxy_that_asks_for_credentials(play: Play, serve: Any) -> None:
    """A proxy that refuses the caller will do so again: it is asked once."""
    proxy = serve([expect(), send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")])
    url = f"http://bob:hunter2@127.0.0.1:{proxy.port}"
    played = play(
        [],
        face="asks for credentials (407)",
        target=at("https://api.example.com/v1"),
        transport=TransportConfig(proxies={"https": url}),
    )
    assert "407" in str(played.error)
    assert "hunter2" not in str(played.error) + repr(played.attempts)
    assert [request.method for request in proxy.requests] == ["CONNECT"]
