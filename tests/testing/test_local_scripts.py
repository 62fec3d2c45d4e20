"""The local provider over real HTTP: scripted failures, delays, answers and breaks."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any

import pytest

from omnillm.testing import FakeClock, LocalProvider, answer, break_stream, delay, fail, hang, malformed
from omnillm.types.enums import FinishReason, MessageRole, ProviderProtocol
from omnillm.types.events import StreamFailed
from omnillm.types.message import Message
from omnillm.types.parts import TextPart
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage
from omnillm.wire import parse_error

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
BOTH = pytest.mark.parametrize("protocol", [CHAT, CLAUDE])


@BOTH
def test_scripted_failures(client: Any, provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """Steps are taken one per request, as often as they say, and then it answers again."""
    provider.script(fail(429, times=2, retry_after=1.5), fail(529, message="too busy", headers={"X-Should-Retry": "true"}))
    replies = [client.post(provider, protocol) for _ in range(4)]
    assert [reply.status for reply in replies] == [429, 429, 529, 200]
    assert replies[0].headers["retry-after"] == "1.5"
    assert replies[2].headers["x-should-retry"] == "true"
    assert parse_error(protocol, 529, replies[2].body).message == "too busy"
    assert provider.steps_left == 0


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ({"odd": 1}, b'{"odd":1}', "application/json"),
        ("<html>", b"<html>", "text/plain; charset=utf-8"),
        (b"\xff", b"\xff", "text/plain; charset=utf-8"),
    ],
)
def test_scripted_bodies(client: Any, provider: LocalProvider, body: Any, sent: bytes, content_type: str) -> None:
    """A failure's body is sent as it was given."""
    provider.script(fail(502, body=body))
    reply = client.post(provider, CHAT)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (502, sent, content_type)


def test_scripts_of_one_protocol_or_key(client: Any, provider: LocalProvider) -> None:
    """A step of a protocol or a key waits for a request that fits it."""
    provider.script(fail(500), protocol="anthropic_messages")
    provider.script(fail(503), key="other")
    assert [client.post(provider, CHAT).status, client.post(provider, CHAT, key="other").status] == [200, 503]
    assert provider.steps_left == 1
    assert [client.post(provider, CLAUDE).status, client.post(provider, CLAUDE).status] == [500, 200]


def test_refused_request_takes_no_step(client: Any, provider: LocalProvider) -> None:
    """A request with a wrong key or a broken body leaves the script to the next one."""
    provider.script(fail(500))
    assert client.post(provider, CHAT, key="bad").status == 401
    assert client.post(provider, CHAT, messages=7).status == 400
    assert client.post(provider, CHAT).status == 500


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_scripted_answers(client: Any, provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """A text or a response that is scripted is the answer, whatever was asked."""
    message = Message(MessageRole.ASSISTANT, (TextPart("as scripted"),))
    response = LlmResponse((message,), TokenUsage(11, 22), "other", protocol, FinishReason.LENGTH)
    provider.script(answer("a text"), answer(response))
    fields = {"stream_options": {"include_usage": True}} if protocol is CHAT and stream else {}
    given = [client.post(provider, protocol, stream=stream, **fields).answer for _ in range(2)]
    assert [it.text for it in given] == ["a text", "as scripted"]
    assert (given[1].usage.total(), given[1].model, given[1].finish_reason) == (33, "other", FinishReason.LENGTH)
    assert given[1].response_id


def test_malformed_body(client: Any, provider: LocalProvider) -> None:
    """Bytes are sent with status 200 as they were given."""
    provider.script(malformed(b'{"half": ', content_type="text/html"))
    reply = client.post(provider, CHAT)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b'{"half": ', "text/html")


def test_delays_run_on_the_clock(client: Any, clock: FakeClock) -> None:
    """Latency, scripted delays and the pace of events are waited on the provider's clock."""
    with LocalProvider(clock=clock, latency=2, event_interval=0.5) as provider:
        provider.script(delay(3, then=delay(4, then=fail(500))))
        assert client.post(provider, CHAT).status == 500
        assert clock.monotonic() == 1_009
        reply = client.post(provider, CHAT, stream=True)
        assert clock.monotonic() == 1_011 + 0.5 * len(reply.frames)


@BOTH
@pytest.mark.parametrize("how", ["cut", "reset"])
def test_broken_streams(client: Any, provider: LocalProvider, protocol: ProviderProtocol, how: Any) -> None:
    """A cut or reset stream ends in mid-body, after as many events as it was told."""
    provider.script(break_stream(2, how=how))
    with closing(client.connect(provider)) as connection:
        expected = http.client.IncompleteRead if how == "cut" else ConnectionResetError
        with pytest.raises(expected) as caught:
            client.send(connection, client.paths[protocol], client.body(protocol, stream=True))
    if isinstance(caught.value, http.client.IncompleteRead):
        assert caught.value.partial.count(b"\n\n") == 2


@BOTH
@pytest.mark.parametrize("after", [0, 2, 1000])
def test_stream_without_an_end(client: Any, provider: LocalProvider, protocol: ProviderProtocol, after: int) -> None:
    """A stream without its terminal events ends as HTTP, and never as the protocol."""
    provider.script(break_stream(after, how="no_terminal"))
    reply = client.post(provider, protocol, stream=True)
    frames = reply.frames
    assert len(frames) == after if after < 1000 else "hello" in frames[-1] or "content_block_stop" in frames[-1]
    assert not any(mark in data for data in frames for mark in ("[DONE]", "message_stop", '"finish_reason":"', '"stop_reason":"'))


@BOTH
def test_error_in_a_stream(client: Any, provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """An error event comes after as many events as it was told, and nothing comes after it."""
    provider.script(break_stream(2, how="error_event"))
    reply = client.post(provider, protocol, stream=True)
    assert len(reply.frames) == 3
    last = reply.events[-1]
    assert isinstance(last, StreamFailed)
    assert last.message == "scripted failure of a stream"


@BOTH
def test_broken_whole_answers(client: Any, provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """An answer that is not streamed breaks off in mid-body, or is half a JSON value, or an error with status 200."""
    provider.script(break_stream(how="cut"), break_stream(how="no_terminal"), break_stream(how="error_event"))
    with pytest.raises(http.client.IncompleteRead):
        client.post(provider, protocol)
    half, error = client.post(provider, protocol), client.post(provider, protocol)
    assert half.status == error.status == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(half.body)
    assert error.json["error"]["message"] == "scripted failure"


@pytest.mark.parametrize(("step", "stream"), [(hang(), False), (break_stream(1, how="hang"), True)])
def test_hanging_answers_end_with_the_client(client: Any, provider: LocalProvider, step: Any, stream: bool) -> None:
    """An answer that hangs keeps its connection until the client leaves, and then gives it up."""
    provider.script(step)
    with closing(client.connect(provider)) as connection:
        connection.request("POST", client.paths[CHAT], json.dumps(client.body(CHAT, stream=stream)), {"x-api-key": "good"})
        if stream:
            response = connection.getresponse()
            assert response.read1(10)
            response.close()
        assert provider.wait_requests(timeout=10)
        assert provider.open_connections == 1
        assert not provider.wait_open_connections(timeout=0.05)
    assert provider.wait_open_connections(0, timeout=5)


def test_left_stream_is_noticed(client: Any) -> None:
    """A stream whose client leaves ends at its next event."""
    with LocalProvider(event_interval=0.01) as provider:
        provider.script(answer("word " * 5_000))
        with closing(client.connect(provider)) as connection:
            connection.request("POST", client.paths[CHAT], json.dumps(client.body(CHAT, stream=True)), {"x-api-key": "k"})
            response = connection.getresponse()
            assert response.read1(10)
            response.close()
        assert provider.wait_open_connections(timeout=5)
