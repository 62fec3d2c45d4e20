"""The local provider over real HTTP, by the standard library's client."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

import omnillm.testing
from omnillm.errors import ConfigurationError
from omnillm.testing import LocalProvider, answer, break_stream, delay, fail, hang, malformed
from omnillm.types.enums import EndpointProtocol, FinishReason, MessageRole, ProviderProtocol
from omnillm.types.events import Completed, LlmStreamEvent, StreamFailed
from omnillm.types.message import Message
from omnillm.types.parts import TextPart
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage
from omnillm.wire import SseDecoder, StreamParser, parse_error, parse_response

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
BOTH = pytest.mark.parametrize("protocol", [CHAT, CLAUDE])
PATHS = {CHAT: "/v1/chat/completions", CLAUDE: "/v1/messages"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


class HandClock:
    """A clock that moves only when told to, or waited on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        self.now += timeout or 0.0
        return event.is_set()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def provider(clock: HandClock) -> Iterator[LocalProvider]:
    with LocalProvider(
        clock=clock,
        keys=["good", "other", "small", "dead"],
        dead_keys=["dead"],
        forbidden=[("good", "secret-model")],
        rpm={"small": 2},
    ) as it:
        yield it


def connect(provider: LocalProvider) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(provider.base_url.removeprefix("http://"), timeout=10)


def body_of(protocol: ProviderProtocol, text: str = "Say hello", **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    return body if protocol is CHAT else {"max_tokens": 1000, **body}


def send(
    connection: http.client.HTTPConnection, path: str, body: Any, *, key: str = "good", headers: dict[str, str] | None = None
) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, {"authorization": f"Bearer {key}"} if headers is None else headers)
    response = connection.getresponse()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def post(
    provider: LocalProvider, protocol: ProviderProtocol, text: str = "Say hello", *, key: str = "good", **fields: Any
) -> Reply:
    with closing(connect(provider)) as connection:
        return send(connection, PATHS[protocol], body_of(protocol, text, **fields), key=key)


def events_in(protocol: ProviderProtocol, body: bytes) -> list[LlmStreamEvent]:
    decoder, parser = SseDecoder(), StreamParser(protocol)
    frames = [*decoder.feed(body), *decoder.finish()]
    return [event for frame in frames for event in parser.feed(frame)] + parser.finish()


def streamed(reply: Reply, protocol: ProviderProtocol) -> LlmResponse:
    last = events_in(protocol, reply.body)[-1]
    assert isinstance(last, Completed)
    return last.response


def frames_in(body: bytes) -> list[str]:
    decoder = SseDecoder()
    return [frame.data for frame in [*decoder.feed(body), *decoder.finish()]]


# --- answers ------------------------------------------------------------------------------------------------------------------


@BOTH
def test_answer_is_of_the_protocol(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A whole answer parses as one of the protocol and says what was asked, with its usage."""
    reply = post(provider, protocol)
    response = parse_response(protocol, reply.body)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert (response.text, response.finish_reason, response.model) == ("echo: Say hello", FinishReason.STOP, "m")
    assert response.usage.completion_tokens == 3
    assert response.usage.prompt_tokens > 0


@BOTH
def test_stream_says_the_same(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A streamed answer is the same as a whole one, one word per delta."""
    whole = parse_response(protocol, post(provider, protocol).body)
    reply = post(provider, protocol, stream=True)
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["transfer-encoding"] == "chunked"
    response = streamed(reply, protocol)
    assert (response.text, response.finish_reason, response.model) == (whole.text, whole.finish_reason, whole.model)
    assert sum(word in data for data in frames_in(reply.body) for word in ('"echo:"', '" Say"', '" hello"')) == 3


def test_chat_usage_is_streamed_on_demand(provider: LocalProvider) -> None:
    """A Chat stream reports its usage where the request asked for that, in a chunk of its own, and nowhere else."""
    silent = post(provider, CHAT, stream=True)
    asked = post(provider, CHAT, stream=True, stream_options={"include_usage": True})
    assert not any("prompt_tokens" in data for data in frames_in(silent.body))
    assert frames_in(silent.body)[-1] == frames_in(asked.body)[-1] == "[DONE]"
    assert [json.loads(data)["choices"] for data in frames_in(asked.body)[:-1] if "prompt_tokens" in data] == [[]]
    assert streamed(asked, CHAT).usage.completion_tokens == 3


def test_claude_usage_is_always_streamed(provider: LocalProvider) -> None:
    """A Messages stream reports the same usage as the whole answer."""
    whole = parse_response(CLAUDE, post(provider, CLAUDE).body).usage
    usage = streamed(post(provider, CLAUDE, stream=True), CLAUDE).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (whole.prompt_tokens, whole.completion_tokens)


TOOLS = {
    CHAT: [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("weather", "clock")],
    CLAUDE: [{"name": name, "input_schema": SCHEMA} for name in ("weather", "clock")],
}
REQUIRED = {CHAT: "required", CLAUDE: {"type": "any"}}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called(provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """Calls that the text asks for are made, in parallel, whole or streamed."""
    text = 'call weather with {"city": "Rome"} and call clock'
    reply = post(provider, protocol, text, tools=TOOLS[protocol], stream=stream)
    response = streamed(reply, protocol) if stream else parse_response(protocol, reply.body)
    assert [(call.name, call.arguments) for call in response.tool_calls] == [
        ("weather", {"city": "Rome"}),
        ("clock", {"city": "text"}),
    ]
    assert response.finish_reason is FinishReason.TOOL_CALL


@BOTH
def test_tool_choice_is_honoured(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A required tool is called with arguments of its schema."""
    reply = post(provider, protocol, tools=TOOLS[protocol], tool_choice=REQUIRED[protocol])
    [call] = parse_response(protocol, reply.body).tool_calls
    assert (call.name, call.arguments) == ("weather", {"city": "text"})


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        (
            CHAT,
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "18 C"},
            ],
        ),
        (
            CLAUDE,
            [
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "18 C"}]},
            ],
        ),
    ],
)
def test_tool_results_come_back(provider: LocalProvider, protocol: ProviderProtocol, turns: list[Any]) -> None:
    """Results of tools are quoted in the answer to them."""
    messages = [{"role": "user", "content": "call weather"}, *turns]
    reply = post(provider, protocol, messages=messages, tools=TOOLS[protocol])
    assert parse_response(protocol, reply.body).text == "weather gave: 18 C"


FORMATS = {
    CHAT: {"response_format": {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA, "strict": True}}},
    CLAUDE: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_fits(provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """Structured output is JSON of the schema."""
    reply = post(provider, protocol, stream=stream, **FORMATS[protocol])
    response = streamed(reply, protocol) if stream else parse_response(protocol, reply.body)
    assert json.loads(response.text) == {"city": "text"}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_length_and_stop(provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """The output cap cuts with a finish of length, a stop sequence with one of stop."""
    stop = {CHAT: "stop", CLAUDE: "stop_sequences"}[protocol]
    for fields, text, finish in (
        ({"max_tokens": 2}, "echo: one", FinishReason.LENGTH),
        ({stop: ["three"]}, "echo: one two ", FinishReason.STOP),
    ):
        reply = post(provider, protocol, "one two three four", stream=stream, **fields)
        response = streamed(reply, protocol) if stream else parse_response(protocol, reply.body)
        assert (response.text, response.finish_reason) == (text, finish)


def test_claude_names_the_stop_sequence(provider: LocalProvider) -> None:
    """Anthropic's answer says which stop sequence ended it."""
    reply = post(provider, CLAUDE, "one two", stop_sequences=["two"]).json
    assert (reply["stop_reason"], reply["stop_sequence"]) == ("stop_sequence", "two")


@pytest.mark.parametrize("stream", [False, True])
def test_refusals(provider: LocalProvider, stream: bool) -> None:
    """A refusal has the form that each protocol gives it."""

    def read(protocol: ProviderProtocol) -> LlmResponse:
        reply = post(provider, protocol, "refuse", stream=stream)
        return streamed(reply, protocol) if stream else parse_response(protocol, reply.body)

    assert read(CHAT).refusal == "I cannot help with that."
    assert read(CLAUDE).raw_finish_reason == "refusal"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("protocol", "fields"),
    [
        (CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (CLAUDE, {"thinking": {"type": "adaptive"}}),
        (CLAUDE, {"output_config": {"effort": "high"}}),
        (CHAT, {"reasoning_effort": "low"}),
    ],
)
def test_reasoning_is_shown(provider: LocalProvider, protocol: ProviderProtocol, fields: dict[str, Any], stream: bool) -> None:
    """Reasoning that is asked for comes with the answer, signed by Anthropic."""
    reply = post(provider, protocol, stream=stream, stream_options={"include_usage": True}, **fields)
    response = streamed(reply, protocol) if stream else parse_response(protocol, reply.body)
    assert (response.reasoning_text, response.text) == ("I shall do as I am told.", "echo: Say hello")
    assert response.usage.completion_tokens == 10
    assert (b"signature" in reply.body) == (protocol is CLAUDE)


@pytest.mark.parametrize(
    ("protocol", "fields"), [(CLAUDE, {"thinking": {"type": "disabled"}}), (CHAT, {"reasoning_effort": "none"}), (CHAT, {})]
)
def test_reasoning_is_not_shown(provider: LocalProvider, protocol: ProviderProtocol, fields: dict[str, Any]) -> None:
    """Reasoning that is not asked for, or switched off, does not come."""
    assert parse_response(protocol, post(provider, protocol, **fields).body).reasoning_text == ""


@BOTH
def test_answers_are_deterministic(protocol: ProviderProtocol) -> None:
    """The same requests to another provider give the same bytes."""

    def bodies() -> list[bytes]:
        with LocalProvider() as provider:
            return [post(provider, protocol, text, stream=stream).body for text in ("a", "b") for stream in (False, True)]

    assert bodies() == bodies()


# --- keys and limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer good"}, {"x-api-key": "good"}, {"api-key": "good"}, {"x-goog-api-key": "good"}]
)
def test_key_headers(provider: LocalProvider, headers: dict[str, str]) -> None:
    """The key is found wherever providers look for it."""
    with closing(connect(provider)) as connection:
        assert send(connection, PATHS[CHAT], body_of(CHAT), headers=headers).status == 200
        assert send(connection, PATHS[CHAT] + "?key=good", body_of(CHAT), headers={}).status == 200
    assert [request.key for request in provider.requests] == ["good", "good"]


@BOTH
@pytest.mark.parametrize(
    ("key", "model", "status"),
    [("bad", "m", 401), ("dead", "m", 401), ("good", "secret-model", 403), ("other", "secret-model", 200)],
)
def test_keys_are_checked(provider: LocalProvider, protocol: ProviderProtocol, key: str, model: str, status: int) -> None:
    """An unknown or dead key gets 401 and a forbidden model 403, in the protocol's own form."""
    reply = post(provider, protocol, key=key, model=model)
    assert reply.status == status
    if status != 200:
        error = parse_error(protocol, status, reply.body)
        assert (error.status, error.protocol, bool(error.message)) == (status, protocol, True)
        assert key not in reply.body.decode()


def test_no_key_is_refused_and_any_other_taken() -> None:
    """Without a list of keys any key is taken, but none is not."""
    with LocalProvider() as provider, closing(connect(provider)) as connection:
        assert send(connection, PATHS[CLAUDE], body_of(CLAUDE), headers={}).status == 401
        assert send(connection, PATHS[CLAUDE], body_of(CLAUDE), key="whatever").status == 200


def test_keys_die_and_revive(provider: LocalProvider) -> None:
    """A key can die and come back while the provider serves."""
    provider.dead_keys.add("good")
    assert post(provider, CHAT).status == 401
    provider.dead_keys.clear()
    assert post(provider, CHAT).status == 200


def test_openai_rate_limit(provider: LocalProvider, clock: HandClock) -> None:
    """Requests above the limit get 429 with OpenAI's headers, until the oldest has left the window."""
    replies = []
    for _ in range(3):
        replies.append(post(provider, CHAT, key="small"))
        clock.now += 10
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining-requests"] for reply in replies] == ["1", "0", "0"]
    assert replies[2].headers["x-ratelimit-limit-requests"] == "2"
    assert replies[2].headers["x-ratelimit-reset-requests"] == "40000ms"
    assert replies[2].headers["retry-after"] == "40"
    clock.now += 30
    assert [post(provider, CHAT, key="small").status for _ in range(2)] == [200, 429]
    assert "x-ratelimit-limit-requests" not in post(provider, CHAT).headers


def test_anthropic_rate_limit(provider: LocalProvider) -> None:
    """Anthropic's headers tell the reset as a time."""
    replies = [post(provider, CLAUDE, key="small") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].json["error"]["type"] == "rate_limit_error"
    assert replies[2].headers["retry-after"] == "60"
    assert replies[0].headers["anthropic-ratelimit-requests-limit"] == "2"
    assert replies[2].headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert replies[2].headers["anthropic-ratelimit-requests-reset"] == "2023-11-14T22:31:00Z"


def test_limit_of_nothing() -> None:
    """A limit of zero refuses every request."""
    with LocalProvider(rpm={"k": 0}) as provider:
        reply = post(provider, CHAT, key="k")
        assert (reply.status, reply.headers["retry-after"]) == (429, "60")


# --- scripts ------------------------------------------------------------------------------------------------------------------


@BOTH
def test_scripted_failures(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """Steps are taken one per request, as often as they say, and then it answers again."""
    provider.script(fail(429, times=2, retry_after=1.5), fail(529, message="too busy", headers={"X-Should-Retry": "true"}))
    replies = [post(provider, protocol) for _ in range(4)]
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
def test_scripted_bodies(provider: LocalProvider, body: Any, sent: bytes, content_type: str) -> None:
    """A failure's body is sent as it was given."""
    provider.script(fail(502, body=body))
    reply = post(provider, CHAT)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (502, sent, content_type)


def test_scripts_of_one_protocol_or_key(provider: LocalProvider) -> None:
    """A step of a protocol or a key waits for a request that fits it."""
    provider.script(fail(500), protocol="anthropic_messages")
    provider.script(fail(503), key="other")
    assert [post(provider, CHAT).status, post(provider, CHAT, key="other").status] == [200, 503]
    assert provider.steps_left == 1
    assert [post(provider, CLAUDE).status, post(provider, CLAUDE).status] == [500, 200]


def test_refused_request_takes_no_step(provider: LocalProvider) -> None:
    """A request with a wrong key or a broken body leaves the script to the next one."""
    provider.script(fail(500))
    assert post(provider, CHAT, key="bad").status == 401
    assert post(provider, CHAT, messages=7).status == 400
    assert post(provider, CHAT).status == 500


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_scripted_answers(provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """A text or a response that is scripted is the answer, whatever was asked."""
    message = Message(MessageRole.ASSISTANT, (TextPart("as scripted"),))
    response = LlmResponse((message,), TokenUsage(11, 22), "other", protocol, FinishReason.LENGTH)
    provider.script(answer("a text"), answer(response))
    given = []
    for _ in range(2):
        reply = post(provider, protocol, stream=stream, stream_options={"include_usage": True})
        given.append(streamed(reply, protocol) if stream else parse_response(protocol, reply.body))
    assert [it.text for it in given] == ["a text", "as scripted"]
    assert (given[1].usage.total(), given[1].model, given[1].finish_reason) == (33, "other", FinishReason.LENGTH)
    assert given[1].response_id


def test_malformed_body(provider: LocalProvider) -> None:
    """Bytes are sent with status 200 as they were given."""
    provider.script(malformed(b'{"half": ', content_type="text/html"))
    reply = post(provider, CHAT)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b'{"half": ', "text/html")


def test_delays_run_on_the_clock(clock: HandClock) -> None:
    """Latency, scripted delays and the pace of events are waited on the provider's clock."""
    with LocalProvider(clock=clock, latency=2, event_interval=0.5) as provider:
        provider.script(delay(3, then=delay(4, then=fail(500))))
        assert post(provider, CHAT).status == 500
        assert clock.now == 1_009
        reply = post(provider, CHAT, stream=True)
        assert clock.now == 1_011 + 0.5 * len(frames_in(reply.body))


@BOTH
@pytest.mark.parametrize("how", ["cut", "reset"])
def test_broken_streams(provider: LocalProvider, protocol: ProviderProtocol, how: Any) -> None:
    """A cut or reset stream ends in mid-body, after as many events as it was told."""
    provider.script(break_stream(2, how=how))
    with closing(connect(provider)) as connection:
        expected = http.client.IncompleteRead if how == "cut" else ConnectionResetError
        with pytest.raises(expected) as caught:
            send(connection, PATHS[protocol], body_of(protocol, stream=True))
    if isinstance(caught.value, http.client.IncompleteRead):
        assert len(frames_in(caught.value.partial)) == 2


@BOTH
@pytest.mark.parametrize("after", [0, 2, 1000])
def test_stream_without_an_end(provider: LocalProvider, protocol: ProviderProtocol, after: int) -> None:
    """A stream without its terminal events ends as HTTP, and never as the protocol."""
    provider.script(break_stream(after, how="no_terminal"))
    reply = post(provider, protocol, stream=True)
    frames = frames_in(reply.body)
    assert len(frames) == after if after < 1000 else "hello" in frames[-1] or "content_block_stop" in frames[-1]
    assert not any(mark in data for data in frames for mark in ("[DONE]", "message_stop", '"finish_reason":"', '"stop_reason":"'))


@BOTH
def test_error_in_a_stream(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """An error event comes after as many events as it was told, and nothing comes after it."""
    provider.script(break_stream(2, how="error_event"))
    reply = post(provider, protocol, stream=True)
    assert len(frames_in(reply.body)) == 3
    last = events_in(protocol, reply.body)[-1]
    assert isinstance(last, StreamFailed)
    assert last.message == "scripted failure of a stream"


@BOTH
def test_broken_whole_answers(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """An answer that is not streamed breaks off in mid-body, or is half a JSON value, or an error with status 200."""
    provider.script(break_stream(how="cut"), break_stream(how="no_terminal"), break_stream(how="error_event"))
    with pytest.raises(http.client.IncompleteRead):
        post(provider, protocol)
    half, error = post(provider, protocol), post(provider, protocol)
    assert half.status == error.status == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(half.body)
    assert error.json["error"]["message"] == "scripted failure"


@pytest.mark.parametrize(("step", "stream"), [(hang(), False), (break_stream(1, how="hang"), True)])
def test_hanging_answers_end_with_the_client(provider: LocalProvider, step: Any, stream: bool) -> None:
    """An answer that hangs keeps its connection until the client leaves, and then gives it up."""
    provider.script(step)
    with closing(connect(provider)) as connection:
        connection.request("POST", PATHS[CHAT], json.dumps(body_of(CHAT, stream=stream)), {"x-api-key": "good"})
        if stream:
            response = connection.getresponse()
            assert response.read1(10)
            response.close()
        assert provider.open_connections == 1
        assert not provider.wait_open_connections(timeout=0.05)
    assert provider.wait_open_connections(0, timeout=5)


def test_left_stream_is_noticed() -> None:
    """A stream whose client leaves ends at its next event."""
    with LocalProvider(event_interval=0.01) as provider:
        provider.script(answer("word " * 5_000))
        with closing(connect(provider)) as connection:
            connection.request("POST", PATHS[CHAT], json.dumps(body_of(CHAT, stream=True)), {"x-api-key": "k"})
            response = connection.getresponse()
            assert response.read1(10)
            response.close()
        assert provider.wait_open_connections(timeout=5)


# --- as a server --------------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": 7}', b"\xff\xfe"])
def test_bad_bodies(provider: LocalProvider, protocol: ProviderProtocol, body: bytes) -> None:
    """A body that is no request gets 400 in the protocol's own form, and the connection serves on."""
    with closing(connect(provider)) as connection:
        reply = send(connection, PATHS[protocol], body)
        assert reply.status == 400
        assert parse_error(protocol, 400, reply.body).message
        assert send(connection, PATHS[protocol], body_of(protocol)).status == 200
    assert provider.connections == 1


def test_unknown_path_and_method(provider: LocalProvider) -> None:
    """An unknown path gets 404 and another method 405, both as JSON."""
    with closing(connect(provider)) as connection:
        reply = send(connection, "/chat/completions", body_of(CHAT))
        assert (reply.status, reply.json["error"]["message"]) == (404, "no such path: /chat/completions")
        connection.request("GET", PATHS[CHAT], headers={"x-api-key": "good"})
        response = connection.getresponse()
        assert (response.status, response.getheader("allow")) == (405, "POST")
        assert json.loads(response.read())["error"]
    assert [request.protocol for request in provider.requests] == [None, CHAT]


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/openai/deployments/gpt-x/chat/completions?api-version=1"])
def test_azure_paths(provider: LocalProvider, path: str) -> None:
    """Chat Completions are served at Azure's paths too."""
    with closing(connect(provider)) as connection:
        assert send(connection, path, body_of(CHAT), headers={"api-key": "good"}).status == 200


def test_requests_are_recorded(provider: LocalProvider, clock: HandClock) -> None:
    """What arrives is kept as it came, with its key, protocol, time and connection, and its repr shows no key."""
    with closing(connect(provider)) as connection:
        send(connection, PATHS[CLAUDE] + "?x=1", body_of(CLAUDE, "hi"), headers={"X-Api-Key": "good", "X-Mine": "1"})
        clock.now += 5
        send(connection, PATHS[CHAT], b"nonsense")
    first, second = provider.requests
    assert (first.method, first.path, first.protocol, first.key) == ("POST", "/v1/messages?x=1", CLAUDE, "good")
    assert first.json == json.loads(first.body) == body_of(CLAUDE, "hi")
    assert (first.headers["x-mine"], first.received_at, first.connection) == ("1", 1_000, 1)
    assert (second.json, second.body, second.received_at, second.connection) == (None, b"nonsense", 1_005, 1)
    assert "good" not in repr(provider.requests)


def test_many_at_once() -> None:
    """Requests from many threads are all answered, each with its own text and its own id."""
    with LocalProvider() as provider, ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> tuple[str, str | None]:
            response = parse_response(CHAT, post(provider, CHAT, f"n{number}").body)
            return response.text, response.response_id

        answers = list(pool.map(ask, range(64)))
        assert [text for text, _ in answers] == [f"echo: n{number}" for number in range(64)]
        assert len({response_id for _, response_id in answers}) == 64 == len(provider.requests)


def test_steps_are_taken_once_under_contention() -> None:
    """Of many requests at once exactly as many fail as the script says."""
    with LocalProvider() as provider, ThreadPoolExecutor(8) as pool:
        provider.script(fail(503, times=10))
        statuses = list(pool.map(lambda _: post(provider, CHAT).status, range(32)))
    assert statuses.count(503) == 10


def test_own_fault_is_an_answer(provider: LocalProvider) -> None:
    """A fault inside the provider is told with status 500."""
    broken = LlmResponse((), "no usage", "m", CHAT)  # type: ignore[arg-type]  # the fault
    provider.script(answer(broken))
    reply = post(provider, CHAT)
    assert reply.status == 500
    assert "the local provider failed" in reply.body.decode()


@pytest.mark.parametrize(
    ("spelling", "path"),
    [
        (CHAT, "/v1"),
        ("chat_completions", "/v1"),
        (EndpointProtocol.CLAUDE_MESSAGES, "/v1"),
        (EndpointProtocol.OPENAI_CHAT_COMPLETIONS_COMPAT, "/v1/chat/completions"),
        ("anthropic_messages_compat", "/v1/messages"),
    ],
)
def test_endpoint(provider: LocalProvider, spelling: Any, path: str) -> None:
    """An endpoint is the base of a protocol, or the whole URL where it is a compat one."""
    endpoint = provider.endpoint(spelling)
    assert endpoint.base_url == provider.base_url + path
    assert endpoint.protocol is EndpointProtocol.parse(spelling)


def test_unspoken_protocol(provider: LocalProvider) -> None:
    """A protocol that nobody speaks is a configuration error."""
    with pytest.raises(ConfigurationError, match="protocol"):
        provider.endpoint("morse")


def test_close_ends_waits() -> None:
    """Closing ends delays, paced streams and hanging answers at once, leaves no thread, and is idempotent."""
    before = threading.active_count()
    with LocalProvider() as provider:
        provider.script(delay(3600), hang())
        outcomes: list[object] = []

        def ask() -> None:
            try:
                outcomes.append(post(provider, CHAT))
            except (OSError, http.client.HTTPException) as error:
                outcomes.append(error)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        while len(provider.requests) < 2:
            threads[0].join(0.001)
        provider.close()
        for thread in threads:
            thread.join(10)
    assert len(outcomes) == 2
    assert threading.active_count() == before


def test_urllib_reads_it(provider: LocalProvider) -> None:
    """Another client, which says close after each request, is served as well."""
    request = urllib.request.Request(
        provider.base_url + PATHS[CHAT], json.dumps(body_of(CHAT)).encode(), {"authorization": "Bearer good"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert parse_response(CHAT, response.read()).text == "echo: Say hello"


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: LocalProvider(keys="sk-1"), "keys"),
        (lambda: LocalProvider(dead_keys=[""]), "dead_keys"),
        (lambda: LocalProvider(rpm={"k": -1}), "rpm"),
        (lambda: LocalProvider(rpm={"k": True}), "rpm"),
        (lambda: LocalProvider(latency=-1), "latency"),
        (lambda: fail(200), "status"),
        (lambda: fail(500, times=0), "times"),
        (lambda: fail(429, retry_after=-1), "retry_after"),
        (lambda: delay("1"), "seconds"),  # type: ignore[arg-type]  # the mistake
        (lambda: break_stream(-1), "after_events"),
        (lambda: break_stream(1, how="explode"), "how"),  # type: ignore[arg-type]  # the mistake
        (lambda: answer(7), "answer"),  # type: ignore[arg-type]  # the mistake
        (lambda: malformed("text"), "body"),  # type: ignore[arg-type]  # the mistake
    ],
)
def test_wrong_values_are_named(build: Any, field: str) -> None:
    """A wrong value is a configuration error that names the parameter, and nothing is left running."""
    before = threading.active_count()
    with pytest.raises(ConfigurationError, match=field) as caught:
        build()
    assert caught.value.field == field
    assert threading.active_count() == before


def test_public_names() -> None:
    """Every public name of the package is there, and no other."""
    for name in omnillm.testing.__all__:
        assert getattr(omnillm.testing, name) is not None
    with pytest.raises(AttributeError, match="Nobody"):
        _ = omnillm.testing.Nobody


def test_import_is_quiet() -> None:
    """Importing the package starts no thread and needs nothing but the standard library."""
    code = (
        "import sys, threading, omnillm.testing; "
        "assert threading.active_count() == 1; "
        "assert not {'requests', 'urllib3', 'http.server'} & set(sys.modules), 'imports too much'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)
