"""Structured output through the gateway: asked of every protocol, read exactly, paid for whatever comes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import typed_answers as t
from gateway_scripts import held, key_of

from omnillm.config import KeyConfig
from omnillm.errors import (
    ConfigurationError,
    InvalidJsonError,
    InvalidShapeError,
    LossyRequestError,
    MissingFieldError,
    ProtocolError,
)
from omnillm.policy.limits import LossPolicy
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import LocalProvider, answer, fail
from omnillm.types.capabilities import CapabilitySet, StructuredOutputConfig, ToolDefinition
from omnillm.types.enums import ProviderProtocol
from omnillm.types.events import Completed, TextDelta
from omnillm.types.hooks import CallEnded
from omnillm.types.message import Message
from omnillm.types.parts import RefusalPart
from omnillm.types.request import GenerationConfig, LlmRequest
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage

# Bedrock's own streams are binary; every other protocol is spoken whole and streamed
STREAMED = [protocol for protocol in ProviderProtocol if protocol is not ProviderProtocol.BEDROCK_CONVERSE]
WEATHER = ToolDefinition("weather", {"type": "object", "properties": {}})


@dataclass
class Day:
    """A day of a trip."""

    title: str
    stops: list[t.Stop]
    weather: Literal["sun", "rain"]
    part: t.Square | t.Circle | None


LEAST = Day("text", [], "sun", t.Square(0.0, "square"))
INTO: list[tuple[Any, Any]] = [
    (Day, LEAST),
    (list[Day], []),
    (t.Node, t.Node(0, t.Node(0))),
    (t.Film, {"title": "text", "year": 0, "seen": False}),
    (t.Square | t.Circle, t.Square(0.0, "square")),
    (t.Colour, t.Colour.RED),
    (bool, False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 0}),
]


@pytest.mark.parametrize(("into", "value"), INTO, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("protocol", ProviderProtocol)
def test_every_protocol_is_asked_and_read(
    provider: LocalProvider, build: Any, protocol: ProviderProtocol, into: Any, value: Any
) -> None:
    """``parsed`` is a value of the type, and nothing that the caller asked for was lost on the way."""
    gateway = build(provider.endpoint(protocol), losses=LossPolicy.RAISE)
    response = gateway.call("A day in Rome", into=into)
    assert response.parsed == value
    assert type(response.parsed) is type(value)
    assert response.request_losses == ()
    assert response.cost_usd is not None
    if protocol in STREAMED:
        with gateway.stream("A day in Rome", into=into) as stream:
            events = list(stream)
        assert stream.response.parsed == value
        assert isinstance(events[-1], Completed)
        assert events[-1].response.parsed == value


def _format(protocol: ProviderProtocol, body: Any) -> tuple[Any, Any]:
    """Give the schema that a body asks for, and whether strictly, where the protocol has a word for that."""
    match protocol:
        case ProviderProtocol.OPENAI_RESPONSES:
            return body["text"]["format"]["schema"], body["text"]["format"]["strict"]
        case ProviderProtocol.OPENAI_CHAT_COMPLETIONS:
            return body["response_format"]["json_schema"]["schema"], body["response_format"]["json_schema"]["strict"]
        case ProviderProtocol.CLAUDE_MESSAGES:
            return body["output_config"]["format"]["schema"], True
        case ProviderProtocol.GEMINI_GENERATE_CONTENT:
            return body["generationConfig"]["responseJsonSchema"], True
    return json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]), True


@pytest.mark.parametrize("protocol", ProviderProtocol)
def test_each_protocol_is_asked_in_its_dialect(provider: LocalProvider, build: Any, protocol: ProviderProtocol) -> None:
    """A bound goes out where the API takes it and in words where it does not; the answer is held against it all the same."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}},
        "required": ["n"],
        "additionalProperties": False,
    }
    provider.script(answer('{"n": 0}'))
    with pytest.raises(InvalidShapeError, match="at /n: expected at least 1, got 0"):
        build(provider.endpoint(protocol)).call("hi", into=schema)
    sent, strict = _format(protocol, provider.requests[0].json)
    in_words = protocol in (ProviderProtocol.CLAUDE_MESSAGES, ProviderProtocol.BEDROCK_CONVERSE)
    bound = {"description": "{minimum: 1}"} if in_words else {"minimum": 1}
    assert sent == {**schema, "properties": {"n": {"type": "integer", **bound}}}
    assert strict is True


def refused(text: str) -> LlmResponse:
    """Give a refusal."""
    said = (Message("assistant", (RefusalPart(text),)),)
    return LlmResponse(said, TokenUsage(6, 3), "m", ProviderProtocol.OPENAI_CHAT_COMPLETIONS)


MISMATCHES: list[tuple[str, Any, type[ProtocolError], str, str]] = [
    ("wrong", answer('{"value": 1, "next": {"value": "2"}}'), InvalidShapeError, "expected an integer, got '2'", "/next/value"),
    ("missing", answer('{"next": null}'), MissingFieldError, "Node needs 'value'", "/value"),
    ("no JSON", answer("one, then two"), InvalidJsonError, "the answer is not JSON", ""),
    ("refusal", answer(refused("I will not.")), InvalidShapeError, "the model refused: I will not.", ""),
]


@pytest.mark.parametrize(("_", "step", "kind", "why", "pointer"), MISMATCHES, ids=[case[0] for case in MISMATCHES])
def test_a_mismatch_is_paid_for_and_carries_the_response(
    provider: LocalProvider, build: Any, events: list[Any], _: str, step: Any, kind: type[ProtocolError], why: str, pointer: str
) -> None:
    """The call is settled by its usage, the key is well, the hook hears of a call that went well; the error has it all."""
    gateway = build(provider, budget_limit_usd=100_000.0)
    provider.script(step)
    with pytest.raises(kind, match=why) as caught:
        gateway.call("hi", into=t.Node)
    error = caught.value
    assert error.pointer == pointer
    assert error.response.cost_usd == gateway.budget_used_usd() > 0
    assert error.response.parsed is None
    assert [record.outcome for record in error.response.attempts] == ["ok"]
    assert held(gateway) == (0, 0)
    assert key_of(gateway).consecutive_failures == 0
    assert [event.outcome for event in events if isinstance(event, CallEnded)] == ["ok"]


@pytest.mark.parametrize(("_", "step", "kind", "why", "pointer"), MISMATCHES, ids=[case[0] for case in MISMATCHES])
def test_a_mismatch_of_a_stream_is_raised_behind_the_last_event(
    provider: LocalProvider, build: Any, _: str, step: Any, kind: type[ProtocolError], why: str, pointer: str
) -> None:
    """Every event is given first, ``Completed`` too; then the error, once; ``response`` still answers."""
    gateway = build(provider, budget_limit_usd=100_000.0)
    provider.script(step)
    seen: list[Any] = []
    with gateway.stream("hi", into=t.Node) as stream:
        with pytest.raises(kind, match=why) as caught:
            seen.extend(event for event in stream)
        assert list(stream) == []
    assert isinstance(seen[-1], Completed)
    assert caught.value.pointer == pointer
    assert caught.value.response is stream.response
    assert stream.response.parsed is None
    assert stream.response.cost_usd == gateway.budget_used_usd() > 0
    assert held(gateway) == (0, 0)


def test_the_text_of_a_stream_ends_with_the_mismatch(provider: LocalProvider, build: Any) -> None:
    """``text()`` gives every delta, then raises what does not fit."""
    provider.script(answer("not JSON"))
    said = []
    with pytest.raises(InvalidJsonError):  # the loop is what raises
        for text in build(provider).stream("hi", into=t.Node).text():
            said.append(text)
    assert "".join(said) == "not JSON"


@pytest.mark.parametrize("stream", [False, True], ids=["call", "stream"])
def test_an_error_of_the_type_itself_comes_out_as_it_is(provider: LocalProvider, build: Any, stream: bool) -> None:
    """What a ``__post_init__`` raises beyond a mismatch is the caller's own, after the call was settled."""

    @dataclass
    class Fussy:
        x: int

        def __post_init__(self) -> None:
            raise LookupError(self.x)

    gateway = build(provider)
    with pytest.raises(LookupError, match="0"):
        list(gateway.stream("hi", into=Fussy)) if stream else gateway.call("hi", into=Fussy)
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["call", "stream"])
def test_a_cut_answer_says_so(provider: LocalProvider, build: Any, stream: bool) -> None:
    """An answer that was cut at its output limit is told apart from one that is no JSON."""
    gateway = build(provider)
    with pytest.raises(InvalidJsonError, match="cut at its output limit: raise max_output_tokens") as caught:
        if stream:
            list(gateway.stream("hi", into=Day, max_output_tokens=2))
        else:
            gateway.call("hi", into=Day, max_output_tokens=2)
    assert caught.value.response.text.startswith("{")


def test_a_stream_left_early_is_not_read(provider: LocalProvider, build: Any) -> None:
    """A reader that leaves has no answer to be told of."""
    provider.script(answer("not JSON at all"))
    with build(provider).stream("hi", into=t.Node) as stream:
        for event in stream:
            if isinstance(event, TextDelta):
                break


def test_into_goes_with_tools(provider: LocalProvider, build: Any) -> None:
    """A call of tools is no answer yet: ``parsed`` is ``None`` and nothing is raised."""
    response = build(provider).call("call weather", into=t.Node, tools=WEATHER)
    assert response.parsed is None
    assert [call.name for call in response.tool_calls] == ["weather"]


def test_into_beside_a_structured_output_is_refused(provider: LocalProvider, build: Any) -> None:
    """A request asks for one thing, whether the other came in it or beside it."""
    config = StructuredOutputConfig({"type": "object"})
    request = LlmRequest("m", "hi", capabilities=CapabilitySet(structured_output=config))
    gateway = build(provider)
    for refuse in (lambda: gateway.call("hi", into=int, structured_output=config), lambda: gateway.call(request, into=int)):
        with pytest.raises(ConfigurationError, match="into: the request has a structured_output already"):
            refuse()
    assert gateway.call(request).parsed is None
    assert len(provider.requests) == 1


def test_a_fallback_is_asked_in_its_own_dialect(provider: LocalProvider, build: Any) -> None:
    """The same call goes to another protocol, in its words, and the answer is read the same."""
    claude = provider.endpoint("claude_messages")
    gateway = build(provider, add_fallback=(claude, [KeyConfig("sk-c", "c")]), retry=RetryPolicy(max_attempts=1))
    provider.script(fail(503))
    properties = {"n": {"type": "integer", "maximum": 5}}
    schema = {"type": "object", "properties": properties, "required": ["n"], "additionalProperties": False}
    response = gateway.call("hi", into=schema)
    assert response.parsed == {"n": 0}
    assert [record.status for record in response.attempts] == [503, 200]
    first, second = provider.requests
    assert "maximum" in json.dumps(_format(ProviderProtocol.OPENAI_CHAT_COMPLETIONS, first.json)[0])
    assert "{maximum: 5}" in json.dumps(_format(ProviderProtocol.CLAUDE_MESSAGES, second.json)[0])


def test_a_loss_of_the_callers_own_is_one_all_the_same(provider: LocalProvider, build: Any) -> None:
    """What the endpoint cannot carry of the rest of the request is refused or named as ever."""
    claude = provider.endpoint("claude_messages")
    request = LlmRequest("m", "hi", generation=GenerationConfig(seed=7))
    with pytest.raises(LossyRequestError):
        build(claude, losses=LossPolicy.RAISE).call(request, into=t.Node)
    response = build(claude).call(request, into=t.Node)
    assert [loss.pointer for loss in response.request_losses] == ["/generation/seed"]
