"""P28: no redirect is followed, and a key goes to the origin it was configured for."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_scripts import whole
from reporter import told

from omnillm import KeyConfig, ProviderEndpoint
from omnillm.errors import ConfigurationError, ConnectError, MalformedResponseError, OmniLLMError
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.auth import AuthScheme
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import Peer, expect, repeat, respond

KEY = "sk-CANARY-0123456789"
ONCE = RetryPolicy(max_attempts=1)
PLACES = {
    "another host": "http://127.0.0.1:{other}/v1/chat/completions",
    "the same host": "http://127.0.0.1:{port}/elsewhere",
    "a path": "/elsewhere",
    "no scheme": "//127.0.0.1:{other}/",
    "a user": "http://127.0.0.1:{port}@127.0.0.1:{other}/",
    "a line end": "http://127.0.0.1:{other}/%0d%0aX-Evil: 1",
    "https": "https://127.0.0.1:{other}/",
    "a file": "file:///etc/passwd",
    "nothing": "",
}


def served(*answer: Any, **parts: Any) -> ScriptedServer:
    """Give a server that always answers so."""
    return ScriptedServer([repeat(expect(), respond(*answer, **parts))])


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", PLACES)
def test_p28_a_redirect_is_an_error(build: Any, place: str, status: int, how: str) -> None:
    """Wherever an answer points, nobody is asked but the endpoint, once; the error names neither the place nor the key."""
    leads: list[str] = []

    def redirect(peer: Peer) -> None:
        respond(status, {"Location": leads[0]}, b"")(peer)

    with (
        served(body=whole()) as other,
        ScriptedServer([repeat(expect(), redirect)]) as server,
    ):
        leads.append(PLACES[place].format(other=other.port, port=server.port))
        gateway = build(server, [KeyConfig(KEY, "k1")], retry=ONCE)
        with pytest.raises(MalformedResponseError, match=f"answered {status}: redirects are not followed") as caught:
            gateway.call("hi") if how == "call" else gateway.stream("hi")
        assert (len(server.requests), other.connections) == (1, 0)
    assert server.requests[0].path == "/v1/chat/completions"
    for text in told(caught.value):
        assert KEY not in text
        assert not leads[0] or leads[0] not in text


@pytest.mark.parametrize("raw", [b"Location: http://a/\r\n X: 1\r\n", b"Location: a\rX-Evil: 1\r\n", b"Location: \0\r\n"])
def test_p28_a_location_in_several_lines_leads_nowhere(build: Any, raw: bytes) -> None:
    """What is smuggled into the header is refused with it."""
    answer = b"HTTP/1.1 302 Found\r\n" + raw + b"Content-Length: 0\r\n\r\n"
    with ScriptedServer([repeat(expect(), lambda peer: peer.sock.sendall(answer))]) as server:
        gateway = build(server, [KeyConfig(KEY, "k1")], retry=ONCE)
        with pytest.raises(MalformedResponseError):
            gateway.call("hi")
        assert len(server.requests) == 1


def test_p28_each_key_goes_to_its_own_origin(build: Any) -> None:
    """A fallback is shown its own key and no other's, whatever the first one answered."""
    with (
        ScriptedServer([repeat(expect(), respond(500, {"Location": "/", "Set-Cookie": f"a={KEY}"}, b"{}"))]) as first,
        served(body=whole()) as second,
    ):
        there = ProviderEndpoint.openai_compatible(f"{second.base_url}/v1")
        gateway = build(
            first,
            [KeyConfig(KEY, "k1")],
            add_fallback=(there, [KeyConfig("sk-second-0123", "k2")]),
            retry=ONCE,
        )
        assert gateway.call("hi").text == "hello"
        assert {request.headers["authorization"] for request in first.requests} == {f"Bearer {KEY}"}
        assert {request.headers["authorization"] for request in second.requests} == {"Bearer sk-second-0123"}
        assert all("cookie" not in request.headers for request in (*first.requests, *second.requests))


@pytest.mark.parametrize(
    "model",
    [
        *(
            "../../evil",
            "models/../../evil",
            "models/a/../../b",
            "a?key=1&x=",
            "a#b",
            "//evil/x",
            "a\r\nX-Evil: 1",
            "a b",
            "ä/../b",
        ),
        *("models/a?key=1&x=", "models/a#b", "models/a\r\nX-Evil: 1", "models/a b", "models/ä", "models/a%2f..%2f..%2fb"),
    ],
)
@pytest.mark.parametrize("auth", [AuthScheme.header("x-goog-api-key"), AuthScheme.query("key")], ids=lambda auth: auth.kind)
def test_p28_a_models_name_leads_nowhere_else(build: Any, model: str, auth: AuthScheme) -> None:
    """A model's name that a tenant may choose stays one name in the path: no other path, no query, no header, no host."""
    with ScriptedServer([repeat(expect(), respond(404, body=b"{}"))]) as server:
        endpoint = ProviderEndpoint.gemini_generate_content(f"{server.base_url}/v1beta").with_auth(auth)
        gateway = build(endpoint, [KeyConfig(KEY, "k1")], default_model=model, retry=ONCE)
        with pytest.raises(OmniLLMError):
            gateway.call("hi")
        for request in server.requests:
            path, _, query = request.path.partition("?")
            assert path.startswith("/v1beta/models/")
            assert path.endswith(":generateContent")
            assert ".." not in path.split("/")
            assert "%2f" not in path  # a percent sign of the name's own is one
            assert query == (f"key={KEY}" if auth.kind == "query" else "")
            assert "x-evil" not in request.headers


def test_p28_a_name_below_localhost_is_asked_on_this_machine_only(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that leads ``x.localhost`` elsewhere is not followed: plain http would carry the key over the network."""
    import socket

    def elsewhere(host: Any, port: Any, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
    gateway = build(ProviderEndpoint.openai_compatible("http://x.localhost:1/v1"), [KeyConfig(KEY, "k1")], retry=ONCE)
    with pytest.raises(ConnectError, match="no address of this machine"):
        gateway.call("hi")


def test_p28_what_is_on_this_machine_is_asked_by_no_proxy(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to loopback, which needs no leave, does not leave the machine through a proxy either."""
    from omnillm.config import TransportConfig

    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with (
        served(500, body=b"{}") as proxy,
        served(body=whole()) as server,
    ):
        monkeypatch.setenv("http_proxy", proxy.base_url)
        for transport in (TransportConfig(proxies={"http": proxy.base_url}), TransportConfig(trust_proxy_env=True)):
            assert build(server, [KeyConfig(KEY, "k1")], transport=transport).call("hi").text == "hello"
        assert proxy.connections == 0


@pytest.mark.parametrize("url", ["http://127.1/v1", "http://0.0.0.0/v1", "http://169.254.169.254/v1", "http://10.0.0.1/v1"])
def test_p28_plain_http_elsewhere_is_refused_when_built(build: Any, url: str) -> None:
    """The key would go over the network for everybody to read."""
    with pytest.raises(ConfigurationError, match="allow_http") as caught:
        build(ProviderEndpoint.openai_compatible(url), [KeyConfig(KEY, "k1")])
    assert caught.value.field == "base_url"
