"""TLS is verified whatever is set, and proxies are asked only where the caller names them."""

from __future__ import annotations

import base64
import shutil
import ssl
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omnillm.errors import ConfigurationError, ConnectError, DeadlineExceededError, MalformedResponseError, TlsError
from omnillm.testing.scripted import Peer, ScriptedServer, Step, expect, repeat, reset, respond, sse, stall, tls
from omnillm.testing.scripted import send as send_bytes
from omnillm.transport import HttpResponse, HttpTransport

Send = Callable[..., HttpResponse]
Context = Callable[[str], ssl.SSLContext]
CERTS = Path(__file__).parent / "certs"


def test_a_private_authority_is_a_path(send: Send, server_context: Context) -> None:
    """A certificate of the authority that was named is trusted; the connection is kept; streams work."""
    with ScriptedServer(
        [tls(server_context("loopback")), expect(), respond(body=b"1"), expect(), sse("2")], scheme="https"
    ) as server:
        assert send(server.url).read() == b"1"
        assert list(send(server.url, stream=True).chunks()) == [b"data: 2\n\n"]
        assert server.connections == 1


def test_an_authority_may_be_a_folder(tmp_path: Path, send: Send, server_context: Context) -> None:
    """A folder of certificates is taken too: OpenSSL finds them by hash, and finds none here."""
    shutil.copy(CERTS / "ca.pem", tmp_path)
    picky = HttpTransport(ca_bundle=tmp_path)
    with ScriptedServer([tls(server_context("loopback"))], scheme="https") as server, pytest.raises(TlsError):
        send(server.url, transport=picky)
    picky.close()


@pytest.mark.parametrize(
    ("certificate", "trusted", "said"),
    [
        ("loopback", False, "certificate"),
        ("elsewhere", True, "IP address mismatch"),
        ("expired", True, "expired"),
    ],
)
def test_what_is_not_to_be_trusted(
    send: Send, server_context: Context, certificate: str, trusted: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown authority, another host and an expired certificate fail the handshake, whatever the environment says."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTS / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTS / "ca.pem"))
    plain = HttpTransport()
    with ScriptedServer([tls(server_context(certificate)), expect(), respond()], scheme="https") as server:
        with pytest.raises(TlsError, match=said) as caught:
            send(server.url, **({} if trusted else {"transport": plain}))
        assert caught.value.sent == "no"
        assert caught.value.__context__ is None
        assert server.requests == []
    plain.close()


def test_an_old_protocol_is_refused(send: Send, server_context: Context) -> None:
    """TLS 1.1 is no TLS."""
    context = server_context("loopback")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with ScriptedServer([tls(context)], scheme="https") as server, pytest.raises(TlsError):
        send(server.url)


def test_no_keys_are_logged(send: Send, server_context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``SSLKEYLOGFILE`` in the environment makes nobody else a reader."""
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    with ScriptedServer([tls(server_context("loopback")), expect(), respond()], scheme="https") as server:
        send(server.url).read()
    assert not log.exists()


def test_http_to_a_tls_port(send: Send, server_context: Context) -> None:
    """Plain text is no handshake, and what comes back is no answer, or none."""
    with ScriptedServer([tls(server_context("loopback"))]) as server, pytest.raises((MalformedResponseError, OSError)):
        send(server.url)


def test_a_handshake_that_is_cut(send: Send) -> None:
    """A connection that breaks within the handshake was not sent over."""
    with ScriptedServer([lambda peer: peer.receive(), reset()], scheme="https") as server:
        with pytest.raises((ConnectError, TlsError)) as caught:
            send(server.url)
        assert caught.value.sent == "no"


@pytest.mark.parametrize("bundle", ["/missing/ca.pem", "", True, False, 3])
def test_a_wrong_bundle_is_named(bundle: Any) -> None:
    """What is no path of certificates is refused when the transport is made: there is no switch to turn verification off."""
    with pytest.raises(ConfigurationError) as caught:
        HttpTransport(ca_bundle=bundle)
    assert caught.value.field == "ca_bundle"


def test_leaving_a_body_over_tls_closes_the_connection(send: Send, server_context: Context) -> None:
    """The server sees the end."""
    left = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1"

    def until_end(peer: Peer) -> None:
        try:
            stall()(peer)
        finally:
            left.set()

    with ScriptedServer([tls(server_context("loopback")), expect(), send_bytes(head), until_end], scheme="https") as server:
        answer = send(server.url, stream=True)
        assert next(answer.chunks()) == b"1"
        answer.abort()
        assert left.wait(5)


# --- proxies --------------------------------------------------------------------------------------------------------------------


def tunnel(context: ssl.SSLContext | None = None) -> list[Step]:
    """Be a proxy that takes a CONNECT, and the origin behind it."""
    return [expect(), send_bytes(b"HTTP/1.1 200 Established\r\nVia: x\r\n\r\n"), *([tls(context)] if context else [])]


def test_a_proxy_that_is_named_is_asked(send: Send) -> None:
    """A plain request goes to the proxy whole, with the proxy's credentials, and the connection is kept."""
    with ScriptedServer([repeat(expect(), respond(body=b"x"))]) as proxy:
        named = HttpTransport(allow_http=True, proxies={"http": f"http://bob:pw@127.0.0.1:{proxy.port}"})
        for _ in range(2):
            assert send("http://api.example.com/v1?a=b", transport=named).read() == b"x"
        assert proxy.connections == 1
        request = proxy.requests[0]
        assert request.path == "http://api.example.com/v1?a=b"
        assert request.headers["host"] == "api.example.com"
        assert request.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"bob:pw").decode()
        named.close()


def test_a_tunnel_hides_the_request_from_the_proxy(send: Send, server_context: Context) -> None:
    """https goes through CONNECT; the key is seen by the origin alone, and the connection is kept."""
    script = [*tunnel(server_context("loopback")), repeat(expect(), respond(body=b"x"))]
    with ScriptedServer(script) as proxy:
        named = HttpTransport(ca_bundle=CERTS / "ca.pem", proxies={"https": f"127.0.0.1:{proxy.port}"})
        for _ in range(2):
            assert send("https://localhost:9/v1", transport=named).read() == b"x"
        connect, *rest = proxy.requests
        assert (connect.method, connect.path) == ("CONNECT", "localhost:9")
        assert "authorization" not in connect.headers
        assert [request.path for request in rest] == ["/v1", "/v1"]
        assert proxy.connections == 1
        named.close()


def test_a_dead_tunnel_is_dug_again(send: Send, server_context: Context) -> None:
    """A kept connection through a proxy that dies is replaced by one through the proxy, never by one to it."""
    context = server_context("loopback")
    first = [*tunnel(context), expect(), respond(body=b"1"), expect()]
    with ScriptedServer(first, [*tunnel(context), expect(), respond(body=b"2")]) as proxy:
        named = HttpTransport(ca_bundle=CERTS / "ca.pem", proxies={"https": f"http://127.0.0.1:{proxy.port}"})
        assert [send("https://localhost:9/", transport=named).read() for _ in range(2)] == [b"1", b"2"]
        assert [request.method for request in proxy.requests] == ["CONNECT", "POST", "POST", "CONNECT", "POST"]
        named.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy answered 407"),
        (b"nonsense\r\n\r\n", "connection was closed"),
        (b"", "connection was closed"),
    ],
)
def test_a_proxy_that_refuses(send: Send, answer: bytes, said: str) -> None:
    """No connection, and no word of the proxy's password."""
    with ScriptedServer([expect(), send_bytes(answer)]) as proxy:
        address = f"http://bob:hunter2@127.0.0.1:{proxy.port}"
        named = HttpTransport(proxies={"all": address})
        with pytest.raises(ConnectError, match=said) as caught:
            send("https://api.example.com/", transport=named)
        assert caught.value.sent == "no"
        assert "hunter2" not in str(caught.value)
        named.close()


def test_a_proxy_that_says_nothing(send: Send) -> None:
    """The wait for a tunnel is part of the wait for a connection."""
    with ScriptedServer([expect(), stall()]) as proxy:
        named = HttpTransport(proxies={"https": f"http://127.0.0.1:{proxy.port}"})
        with pytest.raises(ConnectError, match=r"within 0\.15 s"):
            send("https://api.example.com/", transport=named, connect=0.15)
        with pytest.raises(DeadlineExceededError):
            send("https://api.example.com/", transport=named, total=0.15)
        named.close()


def test_a_proxy_that_breaks_off(send: Send) -> None:
    """A tunnel that breaks before it stands is no connection."""
    with ScriptedServer([expect(), reset()]) as proxy:
        named = HttpTransport(proxies={"https": f"http://127.0.0.1:{proxy.port}"})
        with pytest.raises(ConnectError) as caught:
            send("https://api.example.com/", transport=named)
        assert caught.value.sent == "no"
        named.close()


def test_proxies_of_the_environment_need_trust(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``trust_proxy_env`` the variables count, ``NO_PROXY`` too."""
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        ScriptedServer([repeat(expect(), respond(body=b"x"))]) as proxy,
        ScriptedServer([expect(), respond(body=b"y")]) as direct,
    ):
        monkeypatch.setenv("http_proxy", proxy.base_url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        trusting = HttpTransport(allow_http=True, trust_proxy_env=True)
        assert send("http://api.example.com/", transport=trusting).read() == b"x"
        assert send(direct.url, transport=trusting).read() == b"y"
        trusting.close()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://[::1"])
def test_a_proxy_of_another_kind_is_refused(proxy: str) -> None:
    """Only http and https proxies are known, and that is said when the transport is made."""
    with pytest.raises(ConfigurationError) as caught:
        HttpTransport(proxies={"https": proxy})
    assert caught.value.field == "proxies"
