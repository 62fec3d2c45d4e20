"""The local provider's Responses: items with ids, and a stream that announces and ends each of them."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any

import pytest

from omnillm.testing import LocalProvider, answer, break_stream
from omnillm.types.enums import FinishReason, MessageRole, ProviderProtocol
from omnillm.types.events import Completed, StreamFailed, TextDelta
from omnillm.types.message import Message
from omnillm.types.parts import TextPart
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage
from omnillm.wire import SseDecoder, StreamParser, parse_error, parse_response

RESPONSES = ProviderProtocol.OPENAI_RESPONSES
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "name": "weather", "parameters": SCHEMA}]


def post(
    provider: LocalProvider, given: Any = "Say hello", *, path: str = "/v1/responses", key: str = "good", **fields: Any
) -> tuple[int, dict[str, str], bytes]:
    """Ask over HTTP; give the status, the headers and the body."""
    with closing(http.client.HTTPConnection(provider.base_url.removeprefix("http://"), timeout=10)) as connection:
        body = json.dumps({"model": "m", "input": given, **fields})
        connection.request("POST", path, body, {"authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def frames_of(body: bytes) -> list[dict[str, Any]]:
    """Read the events of a stream as JSON."""
    decoder = SseDecoder()
    return [json.loads(frame.data) for frame in [*decoder.feed(body), *decoder.finish()]]


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/v1/responses"])
def test_an_answer_is_a_response(provider: LocalProvider, path: str) -> None:
    """The answer is of the protocol at OpenAI's path and at Azure's, its items named as the API names its own."""
    status, headers, body = post(provider, path=path)
    response = parse_response(RESPONSES, body)
    assert (status, headers["x-request-id"], response.response_id) == (200, "req_1", "resp_1")
    assert (response.text, response.finish_reason, response.model) == ("echo: Say hello", FinishReason.STOP, "m")
    assert response.usage.completion_tokens == 3
    (item,) = json.loads(body)["output"]
    assert (item["id"], item["status"], item["content"][0]["annotations"]) == ("msg_1_0", "completed", [])


def test_a_stream_says_the_same(provider: LocalProvider) -> None:
    """A stream gives a word a delta, with the usage of the whole answer at its end."""
    whole = parse_response(RESPONSES, post(provider)[2])
    _, headers, body = post(provider, stream=True)
    decoder, parser = SseDecoder(), StreamParser(RESPONSES)
    events = [event for frame in decoder.feed(body) for event in parser.feed(frame)] + parser.finish()
    last = events[-1]
    assert headers["content-type"] == "text/event-stream"
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["echo:", " Say", " hello"]
    assert isinstance(last, Completed)
    assert (last.response.text, last.response.usage) == (whole.text, whole.usage)


def test_an_item_keeps_its_id(provider: LocalProvider) -> None:
    """Reasoning and calls are items of their own, announced, ended and completed under one id each."""
    text = 'call weather with {"city": "Rome"} and call weather'
    frames = frames_of(post(provider, text, stream=True, tools=TOOLS, reasoning={"effort": "low"})[2])
    added = [frame["item"]["id"] for frame in frames if frame["type"] == "response.output_item.added"]
    done = [frame["item"]["id"] for frame in frames if frame["type"] == "response.output_item.done"]
    output = frames[-1]["response"]["output"]
    assert added == done == [item["id"] for item in output] == ["rs_1_0", "fc_1_1", "fc_1_2"]
    assert [item.get("arguments") for item in output] == [None, '{"city":"Rome"}', '{"city":"text"}']


def test_results_are_quoted(provider: LocalProvider) -> None:
    """The output of a call is quoted by the name of the call."""
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
    given = [{"role": "user", "content": "?"}, call, {"type": "function_call_output", "call_id": "c", "output": "18 C"}]
    assert parse_response(RESPONSES, post(provider, given, tools=TOOLS)[2]).text == "weather gave: 18 C"


def test_an_answer_may_be_cut(provider: LocalProvider) -> None:
    """An answer that is cut is incomplete, whole or streamed."""
    body = json.loads(post(provider, max_output_tokens=2)[2])
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert frames_of(post(provider, max_output_tokens=2, stream=True)[2])[-1]["type"] == "response.incomplete"


def test_structured_output_fits_its_schema(provider: LocalProvider) -> None:
    """Structured output is the schema's least value."""
    form = {"type": "json_schema", "name": "place", "schema": SCHEMA}
    assert json.loads(parse_response(RESPONSES, post(provider, text={"format": form})[2]).text) == {"city": "text"}


def test_a_given_response_is_sent_as_it_is(provider: LocalProvider) -> None:
    """A scripted response of the protocol keeps what it holds."""
    given = LlmResponse((Message(MessageRole.ASSISTANT, (TextPart("given"),)),), TokenUsage(1, 2), "other", RESPONSES)
    provider.script(answer(given))
    response = parse_response(RESPONSES, post(provider)[2])
    assert (response.text, response.model, response.usage.completion_tokens) == ("given", "other", 2)


def test_refusals_are_openais(provider: LocalProvider) -> None:
    """A dead key, a spent limit and an error in a stream are told in OpenAI's form and headers."""
    status, _, body = post(provider, key="dead")
    assert parse_error(RESPONSES, status, body).status == 401
    headers = [post(provider, key="small")[1] for _ in range(3)][-1]
    assert headers["x-ratelimit-remaining-requests"] == "0"
    provider.script(break_stream(2, how="error_event"))
    decoder, parser = SseDecoder(), StreamParser(RESPONSES)
    events = [event for frame in decoder.feed(post(provider, stream=True)[2]) for event in parser.feed(frame)]
    assert isinstance(events[-1], StreamFailed)
