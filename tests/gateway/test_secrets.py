"""The key: it is in the request's header and nowhere else, whatever the provider does with it."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_scripts import chunk, data, more, open_stream

from omnillm.config import KeyConfig
from omnillm.errors import OmniLLMError
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.auth import AuthScheme
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import expect, reset, respond, send, sse, stall
from omnillm.types.enums import ProviderProtocol

CANARY = "sk-CANARY/0123+abc="
ESCAPED = CANARY.replace("/", "\\/")
QUOTED = "sk-CANARY%2F0123%2Babc%3D"
CLAUDE = ProviderProtocol.CLAUDE_MESSAGES


def error(text: str = CANARY, status: int = 500, **fields: Any) -> bytes:
    said = {"message": f"bad key {text}", "type": f"type {text}", "code": text, "param": [{text: text}], **fields}
    return json.dumps({"error": said, "status": status}).encode()


def claude(kind: str, name: str, value: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, name: value})}\n\n".encode()


_ECHOES: dict[str, list[Any]] = {
    "status 400": [respond(400, body=error())],
    "status 401": [respond(401, body=error())],
    "status 429": [respond(429, {"Retry-After": "999"}, error())],
    "status 500": [respond(500, body=error())],
    "escaped": [respond(500, body=error().replace(CANARY.encode(), ESCAPED.encode()))],
    "in a URL": [respond(500, body=error(QUOTED))],
    "text": [respond(500, {"Content-Type": "text/plain"}, f"no such key: {CANARY}".encode())],
    "html": [respond(200, {"Content-Type": "text/html"}, f"<p>{CANARY}</p>".encode())],
    "request id": [respond(500, {"X-Request-Id": CANARY}, b"{}")],
    "redirect": [respond(307, {"Location": f"https://example.com/?key={CANARY}"})],
    "with status 200": [respond(200, body=error())],
    "wrong shape": [respond(200, body=json.dumps({"choices": CANARY, CANARY: CANARY, "usage": CANARY}).encode())],
    "no JSON": [respond(200, body=f'{{"{CANARY}": {CANARY}}}'.encode())],
    "half a JSON": [respond(200, body=f'{{"a": "{CANARY}'.encode())],
    "no HTTP": [send(f"{CANARY} {CANARY}\r\n\r\n".encode())],
    "a header": [send(f"HTTP/1.1 200 OK\r\n{CANARY} {CANARY}\r\n\r\n".encode())],
    "lost": [reset()],
    "event first": [sse(b"data: " + error() + b"\n\n")],
    "event later": [open_stream(data(chunk("a"))), more(b"data: " + error() + b"\n\n")],
    "broken event": [open_stream(data(chunk("a"))), more(f"data: {{{CANARY}\n\n".encode())],
    "wrong event": [open_stream(data(chunk("a"))), more(b'data: {"choices": "' + CANARY.encode() + b'"}\n\n')],
    "claude event": [sse(claude("error", "error", {"type": "api_error", "message": CANARY}))],
    "claude wrong event": [sse(claude("message_start", "message", CANARY))],
}  # fmt: skip


def told(caught: BaseException) -> Iterator[str]:
    """Give everything an error shows: texts, reprs and attributes, of itself and its whole chain."""
    seen: list[BaseException] = []
    chain = [caught]
    while chain:
        one = chain.pop()
        if one in seen:
            continue
        seen.append(one)
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)), "".join(traceback.format_exception(one)))
        yield repr({name: getattr(one, name) for name in ("doc", "object", "request", "response") if hasattr(one, name)})
        chain += [linked for linked in (one.__cause__, one.__context__) if linked is not None]


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("auth", [AuthScheme.bearer(), AuthScheme.query("key")])
@pytest.mark.parametrize("name", _ECHOES)
def test_the_key_is_never_shown(
    build: Any, events: list[Any], caplog: pytest.LogCaptureFixture, name: str, auth: AuthScheme, how: str
) -> None:
    """Whatever a provider echoes, no error, chain, log line, hook event or repr holds the key, escaped or plain."""
    caplog.set_level(logging.DEBUG)
    protocol = CLAUDE if name.startswith("claude") else ProviderProtocol.OPENAI_CHAT_COMPLETIONS
    with ScriptedServer([expect(), *_ECHOES[name]]) as server:
        endpoint = ProviderEndpoint(protocol.value, f"{server.base_url}/v1").with_auth(auth)
        gateway = build(endpoint, [KeyConfig(CANARY, "k1")], retry=RetryPolicy(max_attempts=2, base=0), losses="warn")
        with pytest.raises(OmniLLMError) as caught:
            gateway.call("hi") if how == "call" else list(gateway.stream("hi"))
        shown = [*told(caught.value), caplog.text, repr(events), repr(gateway), repr(gateway.pool_status())]
        shown += [repr(gateway._core.config), str(gateway._core.secrets), repr(gateway._core.routes[0].secrets)]
    for text in shown:
        for form in (CANARY, ESCAPED, QUOTED):
            assert form not in text
    assert server.requests[0].headers.get("authorization", CANARY).endswith(CANARY)


def test_a_key_that_an_error_says_is_redacted_where_it_stood(build: Any) -> None:
    """The rest of what the provider said is kept."""
    with ScriptedServer([expect(), respond(400, body=error())]) as server, pytest.raises(OmniLLMError) as caught:
        build(server, [KeyConfig(CANARY, "k1"), KeyConfig("other", "k2")]).call("hi")
    found: Any = caught.value
    assert (found.message, found.code) == ("bad key <redacted>", "<redacted>")
    assert found.raw_body["error"]["param"] == [{"<redacted>": "<redacted>"}]
    assert found.attempts[0].error == "BadRequestError: bad key <redacted>"


def locals_of(caught: BaseException) -> str:
    """Give what a reporter of errors shows: the traceback with the locals of every frame."""
    return "".join(traceback.TracebackException.from_exception(caught, capture_locals=True).format())


_FAULTS: dict[str, list[Any]] = {
    "status": [respond(400, body=error())],
    "lost": [reset()],
    "late": [stall()],
    "later": [open_stream(data(chunk("a"))), reset()],
    "html": [respond(200, {"Content-Type": "text/html"}, b"<p>hi</p>")],
    "refused": [],
}


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("auth", [AuthScheme.bearer(), AuthScheme.header("api-key"), AuthScheme.query("key")])
@pytest.mark.parametrize("name", _FAULTS)
def test_no_local_of_a_traceback_shows_the_key(build: Any, name: str, auth: AuthScheme, how: str) -> None:
    """Reporters that show the locals of every frame, ours and those of the transport, show no key."""
    with ScriptedServer([expect(), *_FAULTS[name]]) as server:
        endpoint = ProviderEndpoint("chat_completions", f"{server.base_url}/v1").with_auth(auth)
        gateway = build(endpoint, [KeyConfig(CANARY, "k1")], retry=RetryPolicy(max_attempts=1))
        if name == "refused":
            server.close()
        with pytest.raises(OmniLLMError) as caught:
            gateway.call("hi", timeout=0.3) if how == "call" else list(gateway.stream("hi", timeout=0.3))
        shown = locals_of(caught.value)
    for form in (CANARY, QUOTED):
        assert form not in shown
        assert form not in repr(gateway._core.routes[0])


def test_an_interrupt_within_the_transport_shows_no_key(build: Any) -> None:
    """Nor do the frames of the libraries below, where an interrupt ends them."""

    def cut(*_: Any, **__: Any) -> float:
        raise KeyboardInterrupt

    with ScriptedServer([expect(), stall()]) as server:
        gateway = build(server, [KeyConfig(CANARY, "k1")])
        gateway._core.transport._adapter.get_connection_with_tls_context = cut
        with pytest.raises(KeyboardInterrupt) as caught:
            gateway.call("hi")
    assert "requests/adapters" in locals_of(caught.value)
    assert CANARY not in locals_of(caught.value)


@pytest.mark.parametrize("key", ["a", "e", "1", "key", "code", "message"])
def test_a_short_key_breaks_nothing(build: Any, key: str) -> None:
    """A key of a few letters is redacted where it stands by itself, and leaves other words, and our own, alone."""
    body = json.dumps({"error": {"message": f"Keyed up: Bearer {key}, monkey-made", "code": "x", "type": "t"}}).encode()
    with ScriptedServer([expect(), respond(401, body=body)]) as server, pytest.raises(OmniLLMError) as caught:
        build(server, [KeyConfig(key, "k1")]).call("hi")
    assert caught.value.message == "Keyed up: Bearer <redacted>, monkey-made"
