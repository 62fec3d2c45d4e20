"""What the hooks are told of a call: enough to follow one through threads, attempts and money, and no more than they ask for."""

from __future__ import annotations

import gc
from dataclasses import asdict
from typing import Any

import pytest

from omnillm import tool
from omnillm.config import KeyConfig
from omnillm.errors import BadRequestError, ConfigurationError, StreamInterruptedError, UnsupportedFeatureError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.limits import Budget
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import LocalProvider, answer, break_stream, fail
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import (
    AttemptEnded,
    AttemptStarted,
    CallContent,
    CallEnded,
    CallStarted,
    ChunkReceived,
    ModelDowngraded,
    ToolEnded,
    ToolStarted,
)
from omnillm.types.parts import ToolCallPart
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
TWO_MODELS = PriceTable({name: {"input": 1, "output": 1} for name in ("m", "n")})


class Curious:
    """A hook that asks for all there is."""

    wants_content = True
    wants_chunks = True

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __call__(self, event: Any) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def of(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_one_id_goes_through_a_call(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """Every event of a call, its retries and fallbacks included, has its id, and another call has another."""
    provider.script(fail(503), fail(401))
    gateway = build(provider, 2)
    gateway.call("hi")
    first = {event.call_id for event in events}
    events.clear()
    list(gateway.stream("hi"))
    assert len(first) == len({event.call_id for event in events}) == 1
    assert first != {event.call_id for event in events}


def test_an_attempt_has_an_id_of_its_own(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """Each attempt's end names the start that it belongs to."""
    provider.script(fail(503, times=2))
    build(provider, 2).call("hi")
    started = [event.attempt_id for event in of(events, AttemptStarted)]
    assert started == [event.attempt_id for event in of(events, AttemptEnded)]
    assert len(set(started)) == 3


def test_ids_are_of_all_gateways(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """Two gateways that share a hook name no two attempts alike."""
    for gateway in (build(provider), build(provider)):
        gateway.call("hi")
    assert len({event.attempt_id for event in of(events, AttemptStarted)}) == 2


def test_what_a_call_is_told_of_at_its_start(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """The start tells the kind, the model, where to, and the numbers that were set; no text."""
    gateway = build(provider)
    gateway.call("a private prompt", temperature=0.5, max_output_tokens=9, tenant="t", stop_sequences=("private",))
    gateway.stream("a private prompt", into=list[str]).close()
    first, second = of(events, CallStarted)
    assert (first.kind, first.model, first.streaming, first.tenant) == ("generation", "m", False, "t")
    assert first.endpoint == provider.endpoint(CHAT).name
    assert first.settings == {"temperature": 0.5, "max_output_tokens": 9}
    assert (first.structured, second.structured, second.streaming) == (False, True, True)
    assert "private" not in repr(events)


def test_what_a_call_is_told_of_at_its_end(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """The end tells how the model finished, as whom it answered, and when a stream began to; the attempts, what was charged."""
    gateway = build(provider)
    given = gateway.call("hi")
    stream = gateway.stream("hi")
    list(stream)
    whole, streamed = of(events, CallEnded)
    told = (whole.finish_reason, whole.response_model, whole.response_id, whole.error)
    assert told == (given.finish_reason, given.model, given.response_id, None)
    assert whole.time_to_first_event is None
    assert streamed.time_to_first_event == stream.response.time_to_first_event
    assert [event.cost_usd for event in of(events, AttemptEnded)] == [whole.cost_usd, streamed.cost_usd]
    assert of(events, AttemptEnded)[0].tokens == given.usage.total()


@pytest.mark.parametrize("how", ["call", "stream", "embed"])
def test_the_error_is_named(provider: LocalProvider, build: Any, events: list[Any], how: str) -> None:
    """The end of a call that failed names the class of what it raised."""
    provider.script(fail(400))
    with pytest.raises(BadRequestError):
        getattr(build(provider), how)("hi")
    assert of(events, CallEnded)[0].error == "BadRequestError"


def test_the_error_of_a_broken_stream_is_what_its_reader_got(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """A stream that breaks off ends with the error that was raised, and with the time of its first event."""
    provider.script(break_stream(3))
    with pytest.raises(StreamInterruptedError):
        list(build(provider).stream("one two three"))
    (ended,) = of(events, CallEnded)
    assert (ended.error, ended.time_to_first_event is not None) == ("StreamInterruptedError", True)


@pytest.mark.parametrize("how", ["close", "lose"])
def test_what_a_stream_that_is_left_was_charged(provider: LocalProvider, build: Any, events: list[Any], how: str) -> None:
    """A stream that is closed tells what was paid for it; one that is lost ends with the gateway's next operation."""
    gateway = build(provider)
    stream = gateway.stream("one two three")
    next(stream)
    if how == "close":
        stream.close()
    else:
        del stream
        gc.collect()
        gateway.pool_status()
    (started,), (attempt,), (ended,) = of(events, AttemptStarted), of(events, AttemptEnded), of(events, CallEnded)
    assert (ended.outcome, ended.error) == ("closed", None)
    assert (attempt.attempt_id, attempt.call_id) == (started.attempt_id, ended.call_id)
    if how == "close":
        assert attempt.cost_usd == gateway.budget_used_usd() > 0


def test_the_first_event_is_that_of_the_attempt_that_was_read(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """Where a stream is opened again, the time of its first event is of the attempt whose events were given."""
    provider.script(break_stream(0))
    gateway = build(provider, 2, retry=RetryPolicy(base=0.2))
    stream = gateway.stream("one two three")
    list(stream)
    assert len(stream.response.attempts) == 2
    assert of(events, CallEnded)[0].time_to_first_event > stream.response.attempts[0].duration


def test_content_is_for_who_asks(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """A hook that wants content is given request and answer; the others, and every repr, none of both."""
    curious = Curious()
    gateway = build(provider, on_event=curious)
    given = gateway.call("a private prompt")
    embedded = gateway.embed("a private text", model="m")
    asked, answered, texts, vectors = curious.of(CallContent)
    assert asked.request.input[0].plain_text() == "a private prompt"
    assert (answered.response, vectors.response) == (given, embedded)
    assert texts.request.input[0].text == "a private text"
    assert "private" not in repr(curious.events)
    assert of(events, CallContent) == []
    assert "private" not in repr([asdict(event) for event in events if not isinstance(event, AttemptStarted)])


def test_chunks_are_for_who_asks(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """A hook that wants chunks is told of each as it comes."""
    curious = Curious()
    gateway = build(provider, on_event=curious)
    list(gateway.stream("one two three"))
    gateway.call("hi")
    (started, _) = curious.of(CallStarted)
    assert {chunk.call_id for chunk in curious.of(ChunkReceived)} == {started.call_id}
    assert sum(chunk.size for chunk in curious.of(ChunkReceived)) > 100
    assert of(events, ChunkReceived) == []


def test_a_lost_stream_is_lost_with_its_chunks_told(provider: LocalProvider, build: Any) -> None:
    """Telling of chunks keeps no stream alive: one that is lost gives its key back."""
    curious = Curious()
    gateway = build(provider, on_event=curious)
    provider.script(break_stream(2, how="hang"))
    next(gateway.stream("one two three"))
    gateway.pool_status()
    assert curious.of(CallEnded)[0].outcome == "closed"


def test_an_endpoint_and_a_native_call_say_what_they_are(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """The kind of a call is that of its endpoint; a start comes before each end, though the call was refused before."""
    gateway = build(provider)
    gateway.embed("hi", model="m")
    with pytest.raises((ConfigurationError, UnsupportedFeatureError)):
        gateway.embed([], model="m")
    assert [(type(e).__name__, e.kind) for e in events if isinstance(e, CallStarted | CallEnded)] == [
        ("CallStarted", "embeddings"),
        ("CallEnded", "embeddings"),
    ]


def test_a_downgrade_is_of_its_call(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """The model that was asked for is told at the start, the other one behind it, with the same id."""
    gateway = build(provider, budget=Budget(1), add_downgrade=(1.0, {"m": "n"}), pricing=TWO_MODELS)
    gateway.call("hi")
    gateway.call("hi")
    started, downgraded = of(events, CallStarted)[-1], of(events, ModelDowngraded)[-1]
    assert (started.model, downgraded.asked, downgraded.model) == ("m", "m", "n")
    assert downgraded.call_id == started.call_id
    assert 0 < downgraded.left < 1


@tool
def double(n: int) -> int:
    """Double a number."""
    if n > 99:
        raise OverflowError("too much of a private thing")
    return 2 * n


@pytest.mark.parametrize(("n", "error"), [(21, None), (100, "OverflowError")])
def test_tools_are_told_of(provider: LocalProvider, build: Any, events: list[Any], n: int, error: str | None) -> None:
    """A tool that runs is told of before and after, by its name and the model's id, with the class of what it raised."""
    asking = LlmResponse((ToolCallPart("c1", "double", {"n": n}),), TokenUsage(5, 1), "m", CHAT)
    provider.script(answer(asking))
    build(provider).run_tools("hi", [double])
    (started,), (ended,) = of(events, ToolStarted), of(events, ToolEnded)
    assert (started.name, started.run_id, started.tool_call_id) == ("double", ended.run_id, ended.tool_call_id)
    assert (ended.error, ended.duration >= 0) == (error, True)
    assert "private" not in repr(events)
    assert len({event.call_id for event in of(events, CallStarted)}) == 2


def test_nothing_is_made_where_nobody_listens(provider: LocalProvider) -> None:
    """Without a hook a call has no id."""
    builder = GatewayBuilder(provider.endpoint(CHAT)).default_model("m").add_key(KeyConfig("sk-1", "k1"))
    with builder.build() as gateway:
        stream = gateway.stream("hi")
        list(stream)
        assert stream._walk.call.id == ""


class Heading:
    """A hook that adds headers."""

    wants_headers = True

    def __init__(self, headers: Any) -> None:
        self.headers = headers

    def __call__(self, event: Any) -> None:
        pass

    def request_headers(self, event: AttemptStarted) -> Any:
        return self.headers


def test_a_hook_may_add_the_headers_of_a_trace(provider: LocalProvider, build: Any) -> None:
    """A hook that wants headers adds those of W3C's trace context to each request, and changes none of the others."""
    gateway = build(provider, on_event=Heading({"traceparent": "00-a-b-01", "tracestate": "k=v"}))
    gateway.call("hi")
    list(gateway.stream("hi"))
    for request in provider.requests:
        assert (request.headers["traceparent"], request.headers["tracestate"]) == ("00-a-b-01", "k=v")
        assert request.headers["authorization"] == "Bearer sk-1"


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Bearer other"}, {"traceparent": "a\r\nx: y"}, {"traceparent": 1}, {"traceparent": "ü"}, {"x": "y"}, 3],
)
def test_a_hook_adds_no_other_header(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture, headers: Any) -> None:
    """What is no header of a trace is left out, and logged by the hook's name alone; the call goes on."""
    assert build(provider, on_event=Heading(headers)).call("hi").text == "echo: hi"
    assert not {"traceparent", "x"} & set(provider.requests[0].headers)
    assert provider.requests[0].headers["authorization"] == "Bearer sk-1"
    assert "test_hook_facts.Heading raised" in caplog.text
    assert "other" not in caplog.text
