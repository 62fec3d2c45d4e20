"""Streams that are read: what comes, when it comes, how it ends, and what a break means."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from gateway_scripts import HEAD, JSON_HEAD, chunk, data, held, http_chunk, key_of, more, open_stream, streamed, whole

from omnillm.config import KeyConfig
from omnillm.errors import (
    ClosedError,
    ConnectError,
    GatewayError,
    MalformedResponseError,
    OverloadedError,
    RateLimitedError,
    ServerError,
    StreamInterruptedError,
    UnauthorizedError,
)
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, break_stream, fail, malformed
from omnillm.testing.scripted import expect, half_close, reset, respond, send, sse, stall, wait
from omnillm.types.enums import ProviderProtocol
from omnillm.types.events import Completed, ResponseStarted, TextDelta, UsageUpdated
from omnillm.types.request import LlmRequest

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
PROMPT = LlmRequest("m", "hi").estimated_prompt_tokens()


def until_text(stream: Any) -> str:
    """Read up to the first text."""
    return next(event.delta for event in stream if isinstance(event, TextDelta))


@pytest.mark.parametrize("protocol", [CHAT, CLAUDE])
def test_p15_a_stream_to_its_end(provider: LocalProvider, build: Any, protocol: ProviderProtocol) -> None:
    """A stream gives its events, one ``Completed`` and last, settles by the reported usage, and keeps its connection."""
    gateway = build(provider, protocol=protocol, budget_limit_usd=10_000.0)
    stream = gateway.stream("one two three")
    with pytest.raises(ClosedError, match="not come to its end"):
        _ = stream.response
    events = list(stream)
    assert isinstance(events[0], ResponseStarted)
    assert [type(event) for event in events].count(Completed) == 1
    assert events[-1] == Completed(stream.response)
    assert "".join(event.delta for event in events if isinstance(event, TextDelta)) == "echo: one two three"
    response = stream.response
    assert not response.usage.estimated
    assert response.usage.completion_tokens == 4
    assert response.cost_usd == response.usage.total() == gateway.budget_used_usd()
    assert (key_of(gateway).tpm_used, held(gateway)) == (response.usage.total(), (0, 0))
    assert 0 < response.time_to_first_event <= response.latency
    assert next(stream, None) is None
    stream.close()
    assert gateway.call("again").text == "echo: again"
    assert provider.connections == 1


def test_text(provider: LocalProvider, build: Any) -> None:
    """``text()`` gives the visible text alone; it is an iterator, and leaving it is leaving the stream."""
    gateway = build(provider)
    stream = gateway.stream("one two three")
    text = stream.text()
    assert iter(text) is text
    assert list(text) == ["echo:", " one", " two", " three"]
    assert stream.response.text == "echo: one two three"
    other = gateway.stream("one two three")
    text = other.text()
    assert next(text) == "echo:"
    text.close()
    with gateway.stream("one two three").text() as within:
        assert next(within) == "echo:"
    for left in (text, other, within):
        with pytest.raises(ClosedError):
            next(left)
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_events_come_when_they_are_sent(build: Any, framing: str) -> None:
    """An event is given as soon as its bytes are there, however the body is framed; the rest comes later."""
    go = threading.Event()
    first, rest = data(chunk("soon")), data(chunk(" later"), chunk(finish="stop"), "[DONE]")
    head = {
        "chunked": "Transfer-Encoding: chunked\r\n",
        "length": f"Content-Length: {len(first + rest)}\r\n",
        "close": "Connection: close\r\n",
    }[framing]
    framed = http_chunk if framing == "chunked" else bytes
    end = b"0\r\n\r\n" if framing == "chunked" else b""
    with ScriptedServer(
        [expect(), send((HEAD + head + "\r\n").encode() + framed(first)), wait(go), send(framed(rest) + end)]
    ) as server:
        stream = build(server).stream("hi")
        assert until_text(stream) == "soon"
        go.set()
        assert [event.delta for event in stream if isinstance(event, TextDelta)] == [" later"]
    assert stream.response.text == "soon later"


def test_a_connection_is_reused_once_the_terminal_event_came(build: Any) -> None:
    """What HTTP adds after the last event is read, so that the next call goes over the same connection."""
    with ScriptedServer([expect(), sse(streamed("a")), expect(), respond(body=whole())]) as server:
        gateway = build(server)
        list(gateway.stream("hi"))
        gateway.call("hi")
        assert server.connections == 1


def test_one_that_never_ends_its_body_is_not(build: Any) -> None:
    """A server that says nothing more after the terminal event holds up nobody: the connection is closed."""
    with ScriptedServer([expect(), open_stream(streamed("a")), stall()], [expect(), respond(body=whole())]) as server:
        gateway = build(server)
        assert list(gateway.stream("hi").text()) == ["a"]
        gateway.call("hi")
        assert server.connections == 2


def test_unreported_usage_is_estimated(provider: LocalProvider, build: Any) -> None:
    """A stream without usage is settled by the prompt's estimate and the length of what came."""
    provider.script(malformed(streamed("x" * 40), content_type="text/event-stream"))
    gateway = build(provider)
    stream = gateway.stream("hi")
    list(stream)
    assert stream.response.usage.estimated
    assert gateway.budget_used_usd() == key_of(gateway).tpm_used == PROMPT + 10


def test_a_whole_answer_to_a_stream(build: Any) -> None:
    """A JSON answer where a stream was asked for is decoded as what it is, and given as events."""
    tool = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    message = {"role": "assistant", "content": "hello", "tool_calls": [tool], "reasoning_content": "hm", "refusal": "no"}
    body = whole(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])
    with ScriptedServer([expect(), respond(headers={"Content-Type": "application/json; charset=utf-8"}, body=body)]) as server:
        gateway = build(server)
        events = list(gateway.stream("hi"))
    names = [type(event).__name__ for event in events]
    assert names[0] == "ResponseStarted"
    assert set(names[1:-2]) == {"TextDelta", "ReasoningDelta", "ToolCallDelta", "RefusalDelta"}
    assert names[-2:] == ["UsageUpdated", "Completed"]
    assert isinstance(events[-2], UsageUpdated)
    assert gateway.budget_used_usd() == 8


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(data("[DONE]"), id="a second end"),
        pytest.param(data(chunk("more")), id="an event"),
        pytest.param(data('{"error": {"message": "late"}}'), id="an error"),
        pytest.param(b"data: {broken\n\n", id="garbage"),
    ],
)
def test_what_follows_the_terminal_event_is_ignored(build: Any, tail: bytes) -> None:
    """Nothing after the terminal event is given, and nothing is counted twice."""
    with ScriptedServer([expect(), sse(streamed("a") + tail)]) as server:
        gateway = build(server)
        events = list(gateway.stream("hi"))
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["a"]
    assert sum(isinstance(event, Completed) for event in events) == 1
    assert isinstance(events[-1], Completed)
    assert len(gateway._core.config.hooks) == 1


# --- before the first event ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"), [(400, "BadRequestError"), (401, "UnauthorizedError"), (429, "RateLimitedError"), (500, "ServerError")]
)
def test_errors_of_the_status_are_raised_by_stream(
    provider: LocalProvider, build: Any, clock: FakeClock, status: int, error: str
) -> None:
    """A status of failure is raised where the stream is asked for, tried like a call's, and holds nothing."""
    provider.script(fail(status, times=3, retry_after=300 if status == 429 else None))
    gateway = build(provider, clock=clock)
    with pytest.raises(GatewayError) as caught:
        gateway.stream("hi")
    assert type(caught.value).__name__ == error
    assert len(caught.value.attempts) == (3 if status == 500 else 1)
    assert (held(gateway), gateway._core.allowance.in_flight) == ((0, 0), 0)


def test_other_keys_and_endpoints_are_tried(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A stream goes to another key and to a fallback as a call does."""
    provider.script(fail(401), fail(500, times=3), protocol=CHAT)
    fallback = (provider.endpoint(CLAUDE), [KeyConfig("sk-f", "f")], {"m": "claude"})
    stream = build(provider, 2, clock=clock, add_fallback=fallback).stream("hi")
    assert list(stream.text()) == ["echo:", " hi"]
    assert (stream.response.key_label, stream.response.model, len(stream.response.attempts)) == ("f", "claude", 5)


_NOTHING_YET = {
    "cut": (open_stream(),),
    "reset": (open_stream(), reset()),
    "closed": (send((HEAD + "Connection: close\r\n\r\n").encode()), half_close()),
    "overloaded": (sse(b'data: {"error": {"message": "busy", "code": 503, "type": "overloaded_error"}}\n\n'),),
    "html": (respond(headers={"Content-Type": "text/html"}, body=b"<html>Log in</html>"),),
    "half a JSON": (respond(body=whole()[:30]),),
    "a JSON error": (respond(body=b'{"error": {"message": "busy", "code": 503}}'),),
    "garbage": (sse(b"data: {broken\n\n"),),
    "in one piece": (sse(data(chunk("never seen")) + b"data: {broken\n\n"),),
}


@pytest.mark.parametrize("name", [name for name in _NOTHING_YET if name != "closed"])
def test_before_the_first_event_it_is_tried_again(build: Any, clock: FakeClock, name: str) -> None:
    """What breaks before an event was handed over is tried again, unseen; what had come is paid for."""
    with ScriptedServer([expect(), *_NOTHING_YET[name]], [expect(), sse(streamed("good"))]) as server:
        gateway = build(server, clock=clock)
        stream = gateway.stream("hi")
        assert list(stream.text()) == ["good"]
        assert [record.outcome for record in stream.response.attempts] == ["failed", "ok"]
        assert (server.connections, held(gateway)) == (2, (0, 0))
        free = name in ("overloaded", "a JSON error")
        assert (gateway.budget_used_usd() == stream.response.cost_usd) is free


@pytest.mark.parametrize(
    ("name", "kind", "phase"),
    [
        ("cut", StreamInterruptedError, "cut"),
        ("closed", StreamInterruptedError, "no_terminal"),
        ("overloaded", OverloadedError, None),
        ("html", MalformedResponseError, None),
        ("garbage", MalformedResponseError, None),
    ],
)
def test_without_another_attempt_it_is_raised(build: Any, name: str, kind: type[GatewayError], phase: str | None) -> None:
    """Where no attempt is left, the error says what happened, with the history, and nothing is held."""
    with ScriptedServer([expect(), *_NOTHING_YET[name]]) as server:
        gateway = build(server, retry=RetryPolicy(max_attempts=1))
        stream = gateway.stream("hi")
        with pytest.raises(kind) as caught:
            next(stream)
        assert getattr(caught.value, "phase", None) == phase
        assert getattr(caught.value, "partial_response", None) is None
        assert (len(caught.value.attempts), held(gateway), gateway._core.allowance.in_flight) == (1, (0, 0), 0)
        assert next(stream, None) is None


def test_the_second_attempt_may_fail_too(build: Any, clock: FakeClock, events: list[Any]) -> None:
    """Where another attempt cannot even be opened, its error is raised, the call is over, and the hook is told once."""
    with ScriptedServer([expect(), open_stream()], [expect(), respond(401, body=b"{}")]) as server:
        gateway = build(server, clock=clock)
        stream = gateway.stream("hi")
        with pytest.raises(UnauthorizedError) as caught:
            next(stream)
    assert [record.status for record in caught.value.attempts] == [200, 401]
    assert [type(event).__name__ for event in events].count("CallEnded") == 1
    assert (held(gateway), gateway._core.allowance.in_flight, gateway._core.reading) == ((0, 0), 0, {})


# --- after it -----------------------------------------------------------------------------------------------------------------

_BREAKS = {"cut": "cut", "reset": "cut", "no_terminal": "no_terminal", "error_event": "error"}


@pytest.mark.parametrize("how", _BREAKS)
@pytest.mark.parametrize("protocol", [CHAT, CLAUDE])
def test_p08_after_an_event_it_is_never_tried_again(
    provider: LocalProvider, build: Any, how: Any, protocol: ProviderProtocol
) -> None:
    """A break after an event raises ``StreamInterruptedError`` with what came, which is paid for; nothing is sent again."""
    provider.script(break_stream(6, how=how))
    gateway = build(provider, 2, protocol=protocol, budget_limit_usd=10_000.0)
    seen, stream = [], gateway.stream("one two three four five six seven eight nine ten")
    with pytest.raises(StreamInterruptedError) as caught:
        seen.extend(stream.text())
    error = caught.value
    assert (error.phase, error.sent, len(error.attempts), len(provider.requests)) == (_BREAKS[how], "yes", 1, 1)
    assert 0 < len(seen) < 10
    assert error.partial_response.text == "".join(seen)
    assert next(stream, None) is None
    prompt = LlmRequest("m", "one two three four five six seven eight nine ten").estimated_prompt_tokens()
    assert gateway.budget_used_usd() == prompt + -(-len("".join(seen)) // 4)
    assert held(gateway) == (0, 0)
    with pytest.raises(ClosedError):
        _ = stream.response


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_p15_however_it_is_cut_the_events_come_before_the_error(build: Any, pieces: int) -> None:
    """Events that came in one chunk with the failure are given first; the error is what comes last."""
    frames = [data(chunk("a")), data(chunk("b")), b"data: {broken\n\n"]
    steps = {
        1: [open_stream(b"".join(frames))],
        2: [open_stream(frames[0] + frames[1]), more(frames[2])],
        3: [open_stream(frames[0]), more(frames[1]), more(frames[2])],
    }[pieces]
    with ScriptedServer([expect(), *steps, stall()]) as server:
        stream = build(server, retry=RetryPolicy(max_attempts=1)).stream("hi")
        seen = []
        with pytest.raises(GatewayError) as caught:
            for event in stream:
                seen += [event.delta] if isinstance(event, TextDelta) else []
    assert seen == ["a", "b"]
    assert isinstance(caught.value, StreamInterruptedError)
    assert caught.value.partial_response.text == "ab"


def test_an_error_event_cools_the_key(build: Any, clock: FakeClock) -> None:
    """A rate limit that comes as an event in mid-stream cools the key, as its status would, and says when to come back."""
    limited = b'data: {"error": {"message": "Please try again in 12s", "code": 429, "type": "rate_limit_error"}}\n\n'
    with ScriptedServer([expect(), open_stream(data(chunk("a"))), more(limited), stall()]) as server:
        gateway = build(server, clock=clock)
        stream = gateway.stream("hi")
        assert until_text(stream) == "a"
        with pytest.raises(StreamInterruptedError, match="try again") as caught:
            list(stream)
        assert (caught.value.phase, caught.value.retry_after, key_of(gateway).reason) == ("error", 12, "cooling")


def test_a_refused_request_is_no_first_event(build: Any, clock: FakeClock) -> None:
    """An error event first is the error of its status: a rate limit of the only key is raised as one."""
    limited = b'data: {"error": {"message": "Please try again in 90s", "code": 429, "type": "rate_limit_error"}}\n\n'
    with ScriptedServer([expect(), sse(limited)]) as server:
        stream = build(server, clock=clock).stream("hi")
        with pytest.raises(RateLimitedError) as caught:
            list(stream)
    assert caught.value.retry_after == 90


def test_an_event_over_the_bound(build: Any) -> None:
    """An event of more than a mebibyte is refused, with what came before it."""
    big = b"data: " + b"x" * (1 << 20) + b"\n\n"
    with ScriptedServer([expect(), open_stream(data(chunk("a"))), more(big), stall()]) as server:
        stream = build(server).stream("hi")
        assert until_text(stream) == "a"
        with pytest.raises(StreamInterruptedError, match="too large"):
            list(stream)


def test_a_failed_attempt_is_not_a_failed_stream(build: Any, clock: FakeClock) -> None:
    """The fallback takes over a stream whose endpoint fails for good before the first event."""
    with ScriptedServer([expect(), respond(body=whole("whole"))]) as other, ScriptedServer([expect(), open_stream()]) as server:
        from omnillm.providers.endpoint import ProviderEndpoint

        fallback = (ProviderEndpoint(CHAT.value, f"{other.base_url}/v1"), [KeyConfig("sk-f", "f")], None)
        stream = build(server, clock=clock, retry=RetryPolicy(max_attempts=2), add_fallback=fallback).stream("hi")
        assert list(stream.text()) == ["whole"]
        assert [record.key_label for record in stream.response.attempts] == ["k1", "k1", "f"]


def test_both_endpoints_may_cut_it(build: Any) -> None:
    """Where the first endpoint and the fallback cut the stream before an event, the first cut is told as one of a stream."""
    from omnillm.providers.endpoint import ProviderEndpoint

    with ScriptedServer([expect(), open_stream()]) as other, ScriptedServer([expect(), open_stream()]) as server:
        fallback = (ProviderEndpoint(CHAT.value, f"{other.base_url}/v1"), [KeyConfig("sk-f", "f")], None)
        stream = build(server, retry=RetryPolicy(max_attempts=1), add_fallback=fallback).stream("hi")
        with pytest.raises(StreamInterruptedError) as caught:
            list(stream)
    assert (caught.value.phase, caught.value.partial_response) == ("cut", None)
    assert [record.key_label for record in caught.value.attempts] == ["k1", "f"]


def test_nothing_listens(build: Any) -> None:
    """A stream to nowhere is a connection error, raised where it is asked for."""
    server = ScriptedServer()
    server.close()
    with pytest.raises(ConnectError):
        build(server).stream("hi")


def test_a_whole_answer_may_fail(build: Any) -> None:
    """A JSON error with status 200 to a stream is the provider's error."""
    body = b'{"error": {"message": "it broke", "type": "server_error"}}'
    with ScriptedServer([expect(), send((JSON_HEAD + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)]) as server:
        stream = build(server, retry=RetryPolicy(max_attempts=1)).stream("hi")
        with pytest.raises(ServerError, match="it broke"):
            next(stream)
    assert "over" in repr(stream)
