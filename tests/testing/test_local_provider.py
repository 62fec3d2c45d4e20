"""The local provider over real HTTP: its answers, its keys and limits, its record, its life."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

import omnillm.testing
from omnillm.errors import ConfigurationError
from omnillm.testing import FakeClock, LocalProvider, answer, break_stream, delay, fail, hang, malformed
from omnillm.types.enums import EndpointProtocol, FinishReason, ProviderProtocol
from omnillm.types.response import LlmResponse
from omnillm.wire import parse_error, parse_response

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
BOTH = pytest.mark.parametrize("protocol", [CHAT, CLAUDE])
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


# --- answers ------------------------------------------------------------------------------------------------------------------


@BOTH
def test_answer_is_of_the_protocol(client: Any, provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A whole answer parses as one of the protocol and says what was asked, with its usage."""
    reply = client.post(provider, protocol)
    response = reply.answer
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert (response.text, response.finish_reason, response.model) == ("echo: Say hello", FinishReason.STOP, "m")
    assert response.usage.completion_tokens == 3
    assert response.usage.prompt_tokens > 0


@BOTH
def test_stream_says_the_same(client: Any, provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A streamed answer is the same as a whole one, one word per delta."""
    whole = client.post(provider, protocol).answer
    reply = client.post(provider, protocol, stream=True)
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["transfer-encoding"] == "chunked"
    response = reply.answer
    assert (response.text, response.finish_reason, response.model) == (whole.text, whole.finish_reason, whole.model)
    assert sum(word in data for data in reply.frames for word in ('"echo:"', '" Say"', '" hello"')) == 3


def test_chat_usage_is_streamed_on_demand(client: Any, provider: LocalProvider) -> None:
    """A Chat stream reports its usage where the request asked for that, in a chunk of its own, and nowhere else."""
    silent = client.post(provider, CHAT, stream=True)
    asked = client.post(provider, CHAT, stream=True, stream_options={"include_usage": True})
    assert not any("prompt_tokens" in data for data in silent.frames)
    assert silent.frames[-1] == asked.frames[-1] == "[DONE]"
    assert [json.loads(data)["choices"] for data in asked.frames[:-1] if "prompt_tokens" in data] == [[]]
    assert asked.answer.usage.completion_tokens == 3


def test_claude_usage_is_always_streamed(client: Any, provider: LocalProvider) -> None:
    """A Messages stream reports the input at its start, and at its end the same usage as the whole answer."""
    whole = client.post(provider, CLAUDE).answer.usage
    reply = client.post(provider, CLAUDE, stream=True)
    usage = reply.answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (whole.prompt_tokens, whole.completion_tokens)
    assert json.loads(reply.frames[0])["message"]["usage"] == {"input_tokens": whole.prompt_tokens, "output_tokens": 0}


TOOLS = {
    CHAT: [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("weather", "clock")],
    CLAUDE: [{"name": name, "input_schema": SCHEMA} for name in ("weather", "clock")],
}
REQUIRED = {CHAT: "required", CLAUDE: {"type": "any"}}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called(client: Any, provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """Calls that the text asks for are made, in parallel, whole or streamed."""
    text = 'call weather with {"city": "Rome"} and call clock'
    reply = client.post(provider, protocol, text, tools=TOOLS[protocol], stream=stream)
    response = reply.answer
    assert [(call.name, call.arguments) for call in response.tool_calls] == [
        ("weather", {"city": "Rome"}),
        ("clock", {"city": "text"}),
    ]
    assert response.finish_reason is FinishReason.TOOL_CALL


@BOTH
def test_tool_choice_is_honoured(client: Any, provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A required tool is called with arguments of its schema."""
    reply = client.post(provider, protocol, tools=TOOLS[protocol], tool_choice=REQUIRED[protocol])
    [call] = reply.answer.tool_calls
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
def test_tool_results_come_back(client: Any, provider: LocalProvider, protocol: ProviderProtocol, turns: list[Any]) -> None:
    """Results of tools are quoted in the answer to them."""
    messages = [{"role": "user", "content": "call weather"}, *turns]
    reply = client.post(provider, protocol, messages=messages, tools=TOOLS[protocol])
    assert reply.answer.text == "weather gave: 18 C"


FORMATS: dict[ProviderProtocol, dict[str, Any]] = {
    CHAT: {"response_format": {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA, "strict": True}}},
    CLAUDE: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_fits(client: Any, provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """Structured output is JSON of the schema."""
    reply = client.post(provider, protocol, stream=stream, **FORMATS[protocol])
    response = reply.answer
    assert json.loads(response.text) == {"city": "text"}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_length_and_stop(client: Any, provider: LocalProvider, protocol: ProviderProtocol, stream: bool) -> None:
    """The output cap cuts with a finish of length, a stop sequence with one of stop."""
    stop = {CHAT: "stop", CLAUDE: "stop_sequences"}[protocol]
    for fields, text, finish in (
        ({"max_tokens": 2}, "echo: one", FinishReason.LENGTH),
        ({stop: ["three"]}, "echo: one two ", FinishReason.STOP),
    ):
        reply = client.post(provider, protocol, "one two three four", stream=stream, **fields)
        response = reply.answer
        assert (response.text, response.finish_reason) == (text, finish)


def test_claude_names_the_stop_sequence(client: Any, provider: LocalProvider) -> None:
    """Anthropic's answer says which stop sequence ended it."""
    reply = client.post(provider, CLAUDE, "one two", stop_sequences=["two"]).json
    assert (reply["stop_reason"], reply["stop_sequence"]) == ("stop_sequence", "two")


@pytest.mark.parametrize("stream", [False, True])
def test_refusals(client: Any, provider: LocalProvider, stream: bool) -> None:
    """A refusal has the form that each protocol gives it."""
    chat, claude = (client.post(provider, protocol, "refuse", stream=stream).answer for protocol in (CHAT, CLAUDE))
    assert (chat.refusal, chat.text, chat.finish_reason) == ("I cannot help with that.", "", FinishReason.STOP)
    assert (claude.text, claude.raw_finish_reason) == ("", "refusal")


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
def test_reasoning_is_shown(
    client: Any, provider: LocalProvider, protocol: ProviderProtocol, fields: dict[str, Any], stream: bool
) -> None:
    """Reasoning that is asked for comes with the answer, signed by Anthropic."""
    reply = client.post(provider, protocol, stream=stream, stream_options={"include_usage": True}, **fields)
    response = reply.answer
    assert (response.reasoning_text, response.text) == ("I shall do as I am told.", "echo: Say hello")
    assert response.usage.completion_tokens == 10
    assert (b"signature" in reply.body) == (protocol is CLAUDE)


@pytest.mark.parametrize(
    ("protocol", "fields"), [(CLAUDE, {"thinking": {"type": "disabled"}}), (CHAT, {"reasoning_effort": "none"}), (CHAT, {})]
)
def test_reasoning_is_not_shown(client: Any, provider: LocalProvider, protocol: ProviderProtocol, fields: dict[str, Any]) -> None:
    """Reasoning that is not asked for, or switched off, does not come."""
    assert client.post(provider, protocol, **fields).answer.reasoning_text == ""


@BOTH
def test_answers_are_deterministic(client: Any, protocol: ProviderProtocol) -> None:
    """The same requests to another provider give the same bytes."""

    def bodies() -> list[bytes]:
        with LocalProvider() as provider:
            return [client.post(provider, protocol, text, stream=stream).body for text in ("a", "b") for stream in (False, True)]

    assert bodies() == bodies()


# --- keys and limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer good"}, {"x-api-key": "good"}, {"api-key": "good"}, {"x-goog-api-key": "good"}]
)
def test_key_headers(client: Any, provider: LocalProvider, headers: dict[str, str]) -> None:
    """The key is found wherever providers look for it."""
    with closing(client.connect(provider)) as connection:
        assert client.send(connection, client.paths[CHAT], client.body(CHAT), headers=headers).status == 200
        assert client.send(connection, client.paths[CHAT] + "?key=good", client.body(CHAT), headers={}).status == 200
    assert [request.key for request in provider.requests] == ["good", "good"]


@BOTH
@pytest.mark.parametrize(
    ("key", "model", "status"),
    [("bad", "m", 401), ("dead", "m", 401), ("good", "secret-model", 403), ("other", "secret-model", 200)],
)
def test_keys_are_checked(
    client: Any, provider: LocalProvider, protocol: ProviderProtocol, key: str, model: str, status: int
) -> None:
    """An unknown or dead key gets 401 and a forbidden model 403, in the protocol's own form."""
    reply = client.post(provider, protocol, key=key, model=model)
    assert reply.status == status
    if status != 200:
        error = parse_error(protocol, status, reply.body)
        assert (error.status, error.protocol, bool(error.message)) == (status, protocol, True)
        assert key not in reply.body.decode()


def test_no_key_is_refused_and_any_other_taken(client: Any) -> None:
    """Without a list of keys any key is taken, but none is not."""
    with LocalProvider() as provider, closing(client.connect(provider)) as connection:
        assert client.send(connection, client.paths[CLAUDE], client.body(CLAUDE), headers={}).status == 401
        assert client.send(connection, client.paths[CLAUDE], client.body(CLAUDE), key="whatever").status == 200


def test_keys_die_and_revive(client: Any, provider: LocalProvider) -> None:
    """A key can die and come back while the provider serves."""
    provider.dead_keys.add("good")
    assert client.post(provider, CHAT).status == 401
    provider.dead_keys.clear()
    assert client.post(provider, CHAT).status == 200


def test_openai_rate_limit(client: Any, provider: LocalProvider, clock: FakeClock) -> None:
    """Requests above the limit get 429 with OpenAI's headers, until the oldest has left the window."""
    replies = []
    for _ in range(3):
        replies.append(client.post(provider, CHAT, key="small"))
        clock.advance(10)
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining-requests"] for reply in replies] == ["1", "0", "0"]
    assert replies[2].headers["x-ratelimit-limit-requests"] == "2"
    assert replies[2].headers["x-ratelimit-reset-requests"] == "40000ms"
    assert replies[2].headers["retry-after"] == "40"
    clock.advance(30)
    assert [client.post(provider, CHAT, key="small").status for _ in range(2)] == [200, 429]
    assert "x-ratelimit-limit-requests" not in client.post(provider, CHAT).headers


def test_anthropic_rate_limit(client: Any, provider: LocalProvider) -> None:
    """Anthropic's headers tell the reset as a time."""
    replies = [client.post(provider, CLAUDE, key="small") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].json["error"]["type"] == "rate_limit_error"
    assert replies[2].headers["retry-after"] == "60"
    assert replies[0].headers["anthropic-ratelimit-requests-limit"] == "2"
    assert replies[2].headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert replies[2].headers["anthropic-ratelimit-requests-reset"] == "2023-11-14T22:14:20Z"


def test_limit_of_nothing(client: Any) -> None:
    """A limit of zero refuses every request."""
    with LocalProvider(rpm={"k": 0}) as provider:
        reply = client.post(provider, CHAT, key="k")
        assert (reply.status, reply.headers["retry-after"]) == (429, "60")


# --- as a server --------------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": 7}', b"\xff\xfe"])
def test_bad_bodies(client: Any, provider: LocalProvider, protocol: ProviderProtocol, body: bytes) -> None:
    """A body that is no request gets 400 in the protocol's own form, and the connection serves on."""
    with closing(client.connect(provider)) as connection:
        reply = client.send(connection, client.paths[protocol], body)
        assert reply.status == 400
        assert parse_error(protocol, 400, reply.body).message
        assert client.send(connection, client.paths[protocol], client.body(protocol)).status == 200
    assert provider.connections == 1


def test_unknown_path_and_method(client: Any, provider: LocalProvider) -> None:
    """An unknown path gets 404 and another method 405, both as JSON."""
    with closing(client.connect(provider)) as connection:
        reply = client.send(connection, "/chat/completions", client.body(CHAT))
        assert (reply.status, reply.json["error"]["message"]) == (404, "no such path: /chat/completions")
        connection.request("GET", client.paths[CHAT], headers={"x-api-key": "good"})
        response = connection.getresponse()
        assert (response.status, response.getheader("allow")) == (405, "POST")
        assert json.loads(response.read())["error"]
    assert [request.protocol for request in provider.requests] == [None, CHAT]


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/openai/deployments/gpt-x/chat/completions?api-version=1"])
def test_azure_paths(client: Any, provider: LocalProvider, path: str) -> None:
    """Chat Completions are served at Azure's paths too."""
    with closing(client.connect(provider)) as connection:
        assert client.send(connection, path, client.body(CHAT), headers={"api-key": "good"}).status == 200


def test_requests_are_recorded(client: Any, provider: LocalProvider, clock: FakeClock) -> None:
    """What arrives is kept as it came, with its key, protocol, time and connection, and its repr shows no key."""
    with closing(client.connect(provider)) as connection:
        client.send(
            connection, client.paths[CLAUDE] + "?x=1", client.body(CLAUDE, "hi"), headers={"X-Api-Key": "good", "X-Mine": "1"}
        )
        clock.advance(5)
        client.send(connection, client.paths[CHAT], b"nonsense")
    first, second = provider.requests
    assert (first.method, first.path, first.protocol, first.key) == ("POST", "/v1/messages?x=1", CLAUDE, "good")
    assert first.json == json.loads(first.body) == client.body(CLAUDE, "hi")
    assert (first.headers["x-mine"], first.received_at, first.connection) == ("1", 1_000, 1)
    assert (second.json, second.body, second.received_at, second.connection) == (None, b"nonsense", 1_005, 1)
    assert "good" not in repr(provider.requests)


def test_many_at_once(client: Any) -> None:
    """Requests from many threads are all answered, each with its own text and its own id."""
    with LocalProvider() as provider, ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> tuple[str, str | None]:
            response = client.post(provider, CHAT, f"n{number}").answer
            return response.text, response.response_id

        answers = list(pool.map(ask, range(64)))
        assert [text for text, _ in answers] == [f"echo: n{number}" for number in range(64)]
        assert len({response_id for _, response_id in answers}) == 64 == len(provider.requests)


def test_steps_are_taken_once_under_contention(client: Any) -> None:
    """Of many requests at once exactly as many fail as the script says."""
    with LocalProvider() as provider, ThreadPoolExecutor(8) as pool:
        provider.script(fail(503, times=10))
        statuses = list(pool.map(lambda _: client.post(provider, CHAT).status, range(32)))
    assert statuses.count(503) == 10


def test_own_fault_is_an_answer(client: Any, provider: LocalProvider) -> None:
    """A fault inside the provider is told with status 500."""
    broken = LlmResponse((), "no usage", "m", CHAT)  # type: ignore[arg-type]  # the fault
    provider.script(answer(broken))
    reply = client.post(provider, CHAT)
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
        ("responses", "/v1"),
        ("responses_compat", "/v1/responses"),
        ("gemini_generate_content", "/v1beta"),
        ("gemini_generate_content_compat", "/v1beta/models/local:generateContent"),
        (ProviderProtocol.BEDROCK_CONVERSE, ""),
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


@pytest.mark.parametrize("protocol", list(ProviderProtocol))
def test_every_protocol_has_its_endpoint(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """There is an endpoint for every protocol."""
    endpoint = provider.endpoint(protocol)
    assert endpoint.base_url.startswith(provider.base_url)
    assert endpoint.protocol.wire_protocol is protocol


def test_repr_names_the_address(provider: LocalProvider) -> None:
    """The repr tells where the provider is."""
    assert repr(provider) == f"<LocalProvider {provider.base_url}>"


def test_close_ends_waits(client: Any) -> None:
    """Closing ends delays and hanging answers at once, leaves no thread, and is idempotent."""
    before = threading.active_count()
    with LocalProvider() as provider:
        provider.script(delay(3600), hang())
        outcomes: list[object] = []

        def ask() -> None:
            try:
                outcomes.append(client.post(provider, CHAT))
            except (OSError, http.client.HTTPException) as error:
                outcomes.append(error)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert provider.wait_requests(2, timeout=10)
        provider.close()
        for thread in threads:
            thread.join(10)
    assert len(outcomes) == 2
    assert threading.active_count() == before


def test_urllib_reads_it(client: Any, provider: LocalProvider) -> None:
    """Another client, which says close after each request, is served as well."""
    request = urllib.request.Request(
        provider.base_url + client.paths[CHAT], json.dumps(client.body(CHAT)).encode(), {"authorization": "Bearer good"}
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
