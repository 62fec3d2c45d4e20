"""Spans and metrics of real calls, as the SDK's exporters in memory receive them."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import own_process
import pytest

pytest.importorskip("opentelemetry.sdk")

from native_requests import native_endpoint, native_request
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from omnillm import GatewayBuilder, LlmRequest, Message, RetryPolicy, tool
from omnillm.config import KeyConfig
from omnillm.contrib._bounded import MOST_VALUES
from omnillm.contrib.opentelemetry import OpenTelemetryHook, instrument
from omnillm.errors import BadRequestError, BudgetExceededError, ConfigurationError, StreamInterruptedError
from omnillm.primitive import PrimitiveEndpointKind as Kind
from omnillm.primitive import PrimitiveProviderKind, PrimitiveRequest, PrimitiveStreamMode
from omnillm.primitive import ProviderPrimitiveWireFormat as Native
from omnillm.testing import LocalProvider, answer, break_stream, delay, fail
from omnillm.types.enums import ProviderProtocol
from omnillm.types.parts import ImageBase64Part, ToolCallPart
from omnillm.types.response import LlmResponse
from omnillm.types.usage import PromptCacheUsage, TokenUsage

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CANARY = "sk-CANARY-otel-0123456789"
SECONDS = "gen_ai.client.operation."


class Seen:
    """What the exporters received."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        self.tracer = self.tracers.get_tracer("test")

    def hook(self, **options: Any) -> OpenTelemetryHook:
        return OpenTelemetryHook(tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def spans(self, start: str = "") -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(start)]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        metrics = [
            metric for of in (data.resource_metrics if data else ()) for scope in of.scope_metrics for metric in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def everything(self) -> str:
        data = self.reader.get_metrics_data()
        return "".join(span.to_json() for span in self.spans()) + (data.to_json() if data else "")


@pytest.fixture
def seen() -> Iterator[Seen]:
    seen = Seen()
    yield seen
    seen.tracers.shutdown()
    seen.meters.shutdown()


def children(seen: Seen, parent: ReadableSpan) -> list[ReadableSpan]:
    return [span for span in seen.spans() if span.parent is not None and span.parent.span_id == parent.context.span_id]


def test_a_call_is_a_span_with_what_the_conventions_ask_for(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A call is a CLIENT span named by operation and model, with request, response, usage, server and cost."""
    gateway = build(provider, on_event=seen.hook())
    given = gateway.call("a private prompt", temperature=0.5, max_output_tokens=64, seed=3)
    (call,), (attempt,) = seen.spans("chat"), seen.spans("attempt")
    found = dict(call.attributes or {})
    port = int(provider.base_url.rpartition(":")[2])
    assert (call.name, call.kind, call.status.status_code) == ("chat m", SpanKind.CLIENT, StatusCode.UNSET)
    assert len(found.pop("omnillm.call_id")) == 16
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.seed": 3,
        "gen_ai.response.model": given.model,
        "gen_ai.response.id": given.response_id,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": given.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": given.usage.completion_tokens,
        "server.address": "127.0.0.1",
        "server.port": port,
        "omnillm.endpoint": provider.endpoint(CHAT).name,
        "omnillm.outcome": "ok",
        "omnillm.attempts": 1,
        "omnillm.key_label": "k1",
        "omnillm.cost_usd": given.cost_usd,
    }
    assert children(seen, call) == [attempt]
    assert (attempt.kind, attempt.attributes["http.response.status_code"]) == (SpanKind.INTERNAL, 200)
    assert (attempt.attributes["omnillm.key_label"], attempt.attributes["omnillm.cost_usd"]) == ("k1", given.cost_usd)
    assert call.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.41.0"


def test_the_names_are_the_conventions_own(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """Every gen_ai attribute and metric that is made stands in the package of the conventions."""
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
    from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

    known = {value for module in (gen_ai_attributes, gen_ai_metrics) for value in vars(module).values() if isinstance(value, str)}
    cache = PromptCacheUsage(cache_read_input_tokens=3, cache_creation_input_tokens=2)
    usage = TokenUsage(9, 5, 14, reasoning_tokens=2, prompt_cache=cache)
    provider.script(answer(LlmResponse((Message.assistant('{"value": "hi"}'),), usage, "m", CHAT)))
    gateway = build(provider, on_event=seen.hook(capture_content=True))
    gateway.call(
        "hi", top_k=4, top_p=0.5, presence_penalty=0.1, frequency_penalty=0.1, stop_sequences=("x",), into=dict[str, str]
    )
    list(gateway.stream("hi"))
    made = {name for span in seen.spans() for name in span.attributes or {} if name.startswith("gen_ai.")}
    data = seen.reader.get_metrics_data()
    assert data is not None
    metrics = {metric.name for scope in data.resource_metrics[0].scope_metrics for metric in scope.metrics}
    assert made | {name for name in metrics if name.startswith("gen_ai.")} <= known
    assert len(made) >= 20
    assert "gen_ai.usage.reasoning.output_tokens" in made
    assert len([name for name in metrics if name.startswith("gen_ai.")]) == 4


def test_the_metrics(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """Duration, tokens and cost are recorded with the conventions' buckets and units, by model, provider and server."""
    given = build(provider, on_event=seen.hook()).call("hi")
    (duration,), tokens, (cost,) = (
        seen.points(f"{SECONDS}duration"),
        seen.points("gen_ai.client.token.usage"),
        seen.points("omnillm.client.cost"),
    )
    assert (duration.count, duration.explicit_bounds[0], duration.explicit_bounds[-1]) == (1, 0.01, 81.92)
    assert set(duration.attributes) == {
        "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "server.address",
        "server.port",
    }  # fmt: skip
    sums = {point.attributes["gen_ai.token.type"]: point.sum for point in tokens}
    assert sums == {"input": given.usage.prompt_tokens, "output": given.usage.completion_tokens}
    assert tokens[0].explicit_bounds[-1] == 67108864
    assert (cost.value, cost.attributes["omnillm.key_label"]) == (given.cost_usd, "k1")
    assert seen.points(f"{SECONDS}time_to_first_chunk") == []


def test_metrics_do_not_grow_with_the_names_of_models(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A model's name may be anybody's text: the metrics keep so many of them, and call the rest other; a span says it."""
    gateway = build(provider, on_event=seen.hook())
    for n in range(MOST_VALUES + 2):
        gateway.call("x", model=f"m{n}")
    for name in (f"{SECONDS}duration", "omnillm.client.attempts"):
        found = {point.attributes["gen_ai.request.model"] for point in seen.points(name)}
        assert (len(found), "other" in found) == (MOST_VALUES + 1, True)
    assert seen.spans("chat")[-1].attributes["gen_ai.request.model"] == f"m{MOST_VALUES + 1}"


def test_a_stream(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A stream's span lasts to its end, and tells when its first event came; the times of chunks are recorded."""
    provider.script(delay(0.05))
    stream = build(provider, on_event=seen.hook()).stream("one two three")
    next(stream)
    assert seen.spans("chat") == []
    list(stream)
    (call,) = seen.spans("chat")
    assert call.attributes["gen_ai.request.stream"] is True
    assert call.attributes["gen_ai.response.time_to_first_chunk"] == stream.response.time_to_first_event >= 0.05
    assert seen.points(f"{SECONDS}time_to_first_chunk")[0].sum == stream.response.time_to_first_event
    assert all(point.sum >= 0 for point in seen.points(f"{SECONDS}time_per_output_chunk"))


@pytest.mark.parametrize("how", ["close", "lose"])
def test_a_stream_that_is_left(provider: LocalProvider, build: Any, seen: Seen, how: str) -> None:
    """A stream that is closed or lost ends its spans, which are no errors."""
    gateway = build(provider, on_event=seen.hook())
    stream = gateway.stream("one two three")
    next(stream)
    if how == "close":
        stream.close()
    else:
        del stream
        gc.collect()
        gateway.pool_status()
    (call,), (attempt,) = seen.spans("chat"), seen.spans("attempt")
    assert (call.attributes["omnillm.outcome"], call.status.status_code) == ("closed", StatusCode.UNSET)
    assert "error.type" not in call.attributes
    assert attempt.parent.span_id == call.context.span_id
    assert attempt.attributes.get("omnillm.cost_usd", 0) == (gateway.budget_used_usd() if how == "close" else 0)


def test_retries(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """Each attempt is a child with its key, status and error; each wait an event; the call itself is well."""
    provider.script(fail(503, message="a private thing"), fail(401))
    build(provider, 2, on_event=seen.hook()).call("hi")
    (call,), attempts = seen.spans("chat"), seen.spans("attempt")
    assert [attempt.attributes["http.response.status_code"] for attempt in attempts] == [503, 401, 200]
    assert [attempt.attributes.get("error.type") for attempt in attempts] == ["OverloadedError", "UnauthorizedError", None]
    assert [attempt.status.status_code for attempt in attempts] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    assert {attempt.parent.span_id for attempt in attempts} == {call.context.span_id}
    assert [event.name for event in call.events] == ["omnillm.retry"]
    assert call.attributes["omnillm.attempts"] == 3
    outcomes = [(p.attributes["omnillm.outcome"], p.attributes.get("error.type")) for p in seen.points("omnillm.client.attempts")]
    assert sorted(outcomes, key=str) == [("failed", "OverloadedError"), ("failed", "UnauthorizedError"), ("ok", None)]
    assert "private" not in seen.everything()


def test_a_fallback(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A call that moves says so in an event, and its span and metrics are of where it was served."""
    provider.script(fail(503))
    with LocalProvider() as other:
        away = (other.endpoint(ProviderProtocol.CLAUDE_MESSAGES), [KeyConfig("sk-f", "f")], {"m": "claude"})
        build(provider, retry=RetryPolicy(max_attempts=1), add_fallback=away, on_event=seen.hook()).call("hi")
        (call,) = seen.spans("chat")
        assert call.attributes["server.port"] == int(other.base_url.rpartition(":")[2])
    assert [event.name for event in call.events] == ["omnillm.fallback"]
    assert call.attributes["gen_ai.provider.name"] == "anthropic"
    assert [attempt.attributes["gen_ai.request.model"] for attempt in seen.spans("attempt")] == ["m", "claude"]
    assert seen.points(f"{SECONDS}duration")[0].attributes["gen_ai.provider.name"] == "anthropic"


def test_an_error(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A call that fails has the class of its error in span and metric, and none of its words."""
    provider.script(fail(400, message="the prompt 'a private prompt' is refused"))
    with pytest.raises(BadRequestError):
        build(provider, on_event=seen.hook()).call("a private prompt")
    (call,) = seen.spans("chat")
    assert (call.attributes["error.type"], call.status.status_code) == ("BadRequestError", StatusCode.ERROR)
    assert seen.points(f"{SECONDS}duration")[0].attributes["error.type"] == "BadRequestError"
    assert seen.points("gen_ai.client.token.usage") == []
    assert "private" not in seen.everything()


def test_a_stream_that_breaks_off(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A broken stream is an error with the time of its first event."""
    provider.script(break_stream(3))
    with pytest.raises(StreamInterruptedError):
        list(build(provider, on_event=seen.hook()).stream("one two three"))
    (call,) = seen.spans("chat")
    assert call.attributes["error.type"] == "StreamInterruptedError"
    assert call.attributes["gen_ai.response.time_to_first_chunk"] > 0


def test_a_budget_that_refuses(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A call that no budget admits is a span without an attempt."""
    with pytest.raises(BudgetExceededError):
        build(provider, budget_limit_usd=1, on_event=seen.hook()).call("hi")
    (call,) = seen.spans()
    assert (call.attributes["error.type"], call.attributes["omnillm.attempts"]) == ("BudgetExceededError", 0)


def test_the_parent_is_the_callers_in_workers_too(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A call's parent is the caller's current span, for submit and map as for call and stream, and for each thread its own."""
    gateway = build(provider, on_event=seen.hook())
    parents: dict[str, int] = {}

    def work(name: str) -> None:
        with seen.tracer.start_as_current_span(name) as span:
            parents[name] = span.get_span_context().span_id
            gateway.call("hi")
            list(gateway.stream("hi"))
            gateway.submit("hi").result(5)
            list(gateway.map(["hi", "ho"], concurrency=2))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    of = [span.parent.span_id for span in seen.spans("chat")]
    assert sorted(of) == sorted([parents["one"], parents["two"]] * 5)


def test_a_hedge_is_a_child_of_its_call(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A second attempt, made in a thread of its own, is a child of the same call."""
    provider.script(delay(1.0))
    gateway = build(provider, 2, retry=RetryPolicy(hedge_after=0.02), on_event=seen.hook())
    gateway.call("hi")
    gateway.close()
    (call,) = seen.spans("chat")
    assert [event.name for event in call.events] == ["omnillm.hedge"]
    assert len(children(seen, call)) == 2


def test_endpoints_and_native_calls(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """Calls of other endpoints are spans of their own operations."""
    gateway = build(provider, on_event=seen.hook())
    gateway.embed("hi", model="m")
    gateway.speak("hi", model="m")
    embedded, spoken = (span for span in seen.spans() if span.kind is SpanKind.CLIENT)
    assert (embedded.name, embedded.attributes["gen_ai.operation.name"]) == ("embeddings m", "embeddings")
    assert spoken.attributes["gen_ai.output.type"] == "speech"
    assert spoken.attributes["omnillm.usage.estimated"] is True
    assert {point.attributes["gen_ai.operation.name"] for point in seen.points("gen_ai.client.token.usage")} == {"embeddings"}


def test_native_calls(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A native call and a native stream are spans by what their endpoint does; what generates text is a chat."""
    gateway = build(provider, primitive_endpoint=native_endpoint(provider, PrimitiveProviderKind.OPENAI), on_event=seen.hook())
    native = Native.OPENAI_RESPONSES, Kind.RESPONSES, PrimitiveProviderKind.OPENAI
    gateway.primitive_call(native_request(*native))
    list(gateway.primitive_stream(native_request(*native, PrimitiveStreamMode.SSE)))
    gateway.primitive_call(PrimitiveRequest.get("open_ai", "models", "open_ai_models"))
    called, streamed, listed = (span for span in seen.spans() if span.kind is SpanKind.CLIENT)
    assert [span.name for span in (called, streamed)] == ["chat m", "chat m"]
    assert (listed.name, "gen_ai.request.model" in listed.attributes) == ("models", False)
    assert streamed.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert called.attributes["gen_ai.usage.output_tokens"] > 0


@tool
def double(n: int) -> int:
    """Double a number."""
    trace.get_current_span().set_attribute("seen.by.tool", n)
    return 2 * n if n < 99 else n // 0


@pytest.mark.parametrize(("n", "error"), [(21, None), (100, "ZeroDivisionError")])
@pytest.mark.parametrize("parallel", [True, False])
def test_tools(provider: LocalProvider, build: Any, seen: Seen, n: int, error: str | None, parallel: bool) -> None:
    """A tool's run is a span, current while it runs, beside the calls of its loop."""
    called = LlmResponse((ToolCallPart("c1", "double", {"n": n}),), TokenUsage(5, 1), "m", CHAT)
    provider.script(answer(called))
    gateway = build(provider, on_event=seen.hook())
    with seen.tracer.start_as_current_span("loop") as loop:
        gateway.run_tools("hi", [double], parallel=parallel)
    (ran,) = seen.spans("execute_tool")
    assert (ran.name, ran.kind) == ("execute_tool double", SpanKind.INTERNAL)
    assert (ran.attributes["seen.by.tool"], ran.attributes.get("error.type")) == (n, error)
    assert ran.attributes["gen_ai.tool.call.id"] == "c1"
    assert {span.parent.span_id for span in (ran, *seen.spans("chat"))} == {loop.get_span_context().span_id}


def test_content_where_it_is_asked_for(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """With ``capture_content`` the span has prompts and answer in the conventions' form, within a bound, and no file's bytes."""
    provider.script(answer("y" * 500))
    gateway = build(provider, on_event=seen.hook(capture_content=True, content_chars=100))
    picture = ImageBase64Part("QUJDREVG" * 100, "image/png")
    asked = [Message.user("the oldest " + "x" * 300), Message("user", ["look", picture])]
    gateway.call(LlmRequest("m", asked, instructions="Be brief."))
    (call,) = seen.spans("chat")
    messages = json.loads(call.attributes["gen_ai.input.messages"])
    assert messages[1] == {"role": "user", "parts": [{"type": "text", "content": "look"}, {"type": "image"}]}
    assert messages[0]["parts"][0]["content"].startswith("the oldest ")
    assert json.loads(call.attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief."}]
    (said,) = json.loads(call.attributes["gen_ai.output.messages"])
    assert (said["role"], said["finish_reason"]) == ("assistant", "stop")
    assert said["parts"][0]["content"] == "y" * 100 + "…"
    assert len(call.attributes["gen_ai.input.messages"]) < 400
    assert "QUJD" not in seen.everything()


def test_no_content_unless_it_is_asked_for(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """No word of a prompt, an answer or a tool's argument is in a span or a metric."""
    provider.script(answer(LlmResponse((ToolCallPart("c1", "double", {"n": 777123}),), TokenUsage(5, 1), "m", CHAT)))
    gateway = build(provider, on_event=seen.hook())
    gateway.run_tools("PRIVATE", [double], instructions="PRIVATE")
    list(gateway.stream("PRIVATE", stop_sequences=("PRIVATE",)))
    shown = seen.everything().replace('"seen.by.tool": 777123', "")
    assert "PRIVATE" not in shown
    assert "777123" not in shown


def test_no_key_is_shown(provider: LocalProvider, build: Any, seen: Seen) -> None:
    """A provider that echoes the key, in an error and in a stream's, finds it in no span and no metric."""
    provider.script(fail(401, message=f"bad key {CANARY}", code=CANARY), fail(400, message=CANARY))
    hook = seen.hook(propagate=True)
    gateway = build(provider, [KeyConfig(CANARY, "a"), KeyConfig(CANARY + "2", "b")], on_event=hook)
    with suppress(BadRequestError):
        gateway.call("hi")
    gateway.call("hi")
    assert len(seen.spans("chat")) == 2
    assert CANARY not in seen.everything()
    assert CANARY not in repr(vars(hook))


@pytest.mark.parametrize("propagate", [True, False])
def test_the_trace_goes_along_where_it_is_asked_for(provider: LocalProvider, build: Any, seen: Seen, propagate: bool) -> None:
    """With ``propagate`` each request names the attempt's span, without it none is named; nothing else changes."""
    provider.script(fail(503))
    build(provider, on_event=seen.hook(propagate=propagate)).call("hi")
    sent = [request.headers.get("traceparent", "-03")[:-3] for request in provider.requests]
    names = [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}" for span in seen.spans("attempt")]
    assert sent == (names if propagate else ["", ""])
    assert all(request.headers["authorization"] == "Bearer sk-1" for request in provider.requests)


FORKED = """
import gc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from omnillm.contrib.opentelemetry import instrument

spans, tracers = InMemorySpanExporter(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
names = lambda: sorted(span.name for span in spans.get_finished_spans())

with LocalProvider() as provider:
    builder = GatewayBuilder(provider.endpoint("chat_completions")).default_model("m").add_key(KeyConfig("sk-1", "k1"))
    gateway = instrument(builder, tracer_provider=tracers).build()
    stream = gateway.stream("one two three")
    next(stream)

    def child():
        stream.close()
        gateway.call("hi")
        assert names() == ["attempt m", "chat m"], names()

    in_child(child)
    assert names() == []
    list(stream)
    assert names() == ["attempt m", "chat m"]
    print("ok")
"""


def test_what_a_fork_left_is_the_parents() -> None:
    """A forked child ends none of its parent's spans and makes its own; the parent's end in the parent."""
    assert own_process.run(FORKED) == "ok\n"


def test_instrument_adds_the_hook(provider: LocalProvider, seen: Seen) -> None:
    """``instrument`` gives the builder back, and takes the hook's options."""
    builder = GatewayBuilder(provider.endpoint(CHAT)).default_model("m").add_key(KeyConfig("sk-1", "k1"))
    with instrument(builder, tracer_provider=seen.tracers, meter_provider=seen.meters).build() as gateway:
        gateway.call("hi")
    assert len(seen.spans("chat")) == 1
    with pytest.raises(ConfigurationError, match="content_chars"):
        OpenTelemetryHook(content_chars=0)


def test_without_an_sdk_nothing_is_recorded(provider: LocalProvider, build: Any) -> None:
    """With the API alone the hook does no harm."""
    hook = OpenTelemetryHook(tracer_provider=trace.NoOpTracerProvider(), capture_content=True, propagate=True)
    assert build(provider, on_event=hook).call("hi").text == "echo: hi"
    assert "traceparent" not in provider.requests[0].headers
    assert (hook._calls, hook._attempts) == ({}, {})
