"""How the library is used, for the type checker alone: nobody runs this, ``mypy --strict`` reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import assert_type

import omnillm as o
from omnillm.contrib.sse import SseBody, frame, frames_of
from omnillm.contrib.sse.asynchronous import AsyncSseBody
from omnillm.testing import record, replay


def requests() -> list[o.LlmRequest]:
    """Every way to say what is asked."""
    tool = o.ToolDefinition("weather", {"type": "object"}, "Tell the weather", strict=True)
    capabilities = o.CapabilitySet(tools=(tool,), tool_choice=o.ToolChoice.named("weather"), parallel_tool_calls=False)
    generation = o.GenerationConfig(max_output_tokens=100, temperature=0.2, stop_sequences=("END",))
    said: list[o.RequestItem] = [o.Message.user("Weather?"), o.ToolCallPart("c", "weather", {}), o.ToolResultPart("c", "sunny")]
    return [
        o.LlmRequest("m", "hi"),
        o.LlmRequest("m", o.Message("user", ["Look: ", o.ImageUrlPart("https://host/a.png")])),
        o.LlmRequest("m", said, instructions="Be kind.", capabilities=capabilities, generation=generation),
        o.LlmRequest("m", messages=[o.Message.system("Be kind."), o.Message(o.MessageRole.USER, "hi")], stream=True),
    ]


def next_turn(request: o.LlmRequest, response: o.LlmResponse) -> o.LlmRequest:
    """Answers go back as input."""
    assert_type(request.normalized_instructions(), str | None)
    assert_type(request.estimated_tokens(), int)
    results = [o.ToolResultPart(call.call_id, "sunny", call.name) for call in response.tool_calls]
    return o.LlmRequest(request.model, [*request.normalized_input(), *response.as_input(), *results])


def gateway() -> o.Gateway:
    """The builder chains, and takes seconds as numbers and as durations."""
    return (
        o.GatewayBuilder(o.ProviderEndpoint.openai_responses().with_default_header("x-team", "search"))
        .default_model("gpt-4.1-mini")
        .add_key(o.KeyConfig("sk-1", "prod-1", tpm_limit=90_000, rpm_limit=500, models={"m": o.ModelLimits(1_000, 10)}))
        .add_keys([o.KeyConfig.from_env("OPENAI_API_KEY")])
        .budget_limit_usd(50.0)
        .budget(o.Budget(1.0, scope="tenant", window="day"))
        .pool_config(o.PoolConfig(acquire_timeout=2.0, selection="least_loaded"))
        .timeouts(connect=5, idle=timedelta(seconds=30), total=math.inf)
        .retry(o.RetryPolicy(max_attempts=5, hedge_after=2.5))
        .add_downgrade(below=0.2, model_map={"gpt-4.1": "gpt-4.1-mini"})
        .add_fallback(o.ProviderEndpoint.claude_messages(), [o.KeyConfig("sk-2", "spare")], {"gpt-4.1-mini": "claude"})
        .losses("warn")
        .transport(o.TransportConfig(allow_http=True))
        .on_event(print)
        .build()
    )


def connected() -> list[o.Gateway]:
    """A provider by its name, the options by the builder's names; a file, a mapping, the environment."""
    assert_type(o.connect("openai/gpt-4.1-mini", budget_usd=5), o.Gateway)
    assert_type(o.GatewayConfig.from_mapping({"model": "openai/m"}), o.GatewayConfig)
    return [
        o.connect("anthropic/claude-haiku-4-5", api_key="sk", timeout=timedelta(seconds=5), timeouts={"idle": 3}, losses="warn"),
        o.connect("groq/m", keys=["sk", o.KeyConfig("sk-2", "b")], rpm_limit=5, retry=o.RetryPolicy(), on_event=print),
        o.connect("ollama/m", base_url="http://localhost:1/v1", fallbacks=["openai/m"], pricing=o.PriceTable(unknown="zero")),
        o.Gateway.from_config("omnillm.toml", name="cheap"),
        o.Gateway.from_config({"model": "openai/m", "keys": ["sk"]}),
        o.Gateway.from_env(),
    ]


def recorded(gateway: o.Gateway, request: o.TransportRequest, response: o.TransportResponse) -> str:
    """Recordings are context managers; what is sanitised keeps its type."""
    with record("tape.json", gateway, secrets=["x"]) as tape:
        assert_type(tape.exchanges, tuple[o.ReplayFixture, ...])
    with replay("tape.json", gateway, match_on=["path"]) as tape:
        assert_type(tape.unused, tuple[o.ReplayFixture, ...])
    assert_type(o.sanitize_transport_request(request, secrets=[o.Secret.literal("x")]), o.TransportRequest)
    return o.ReplayFixture(o.WireFormat.OPENAI_RESPONSES, request, response).sanitized().to_json()


def call(gateway: o.Gateway, cancel: o.CancellationToken) -> str:
    """What a call gives, and what is known of it."""
    with gateway:
        response = gateway.call("hi", timeout=5.0, cancel=cancel, tenant="acme")
        assert_type(response, o.LlmResponse)
        assert_type(response.text, str)
        assert_type(response.refusal, str | None)
        assert_type(response.tool_calls, tuple[o.ToolCallPart, ...])
        assert_type(response.attempts, tuple[o.AttemptRecord, ...])
        assert_type(response.cost_usd, float | None)
        assert_type(response.usage.total(), int)
        assert_type(gateway.pool_status(), list[o.KeyStatus])
        assert_type(gateway.budget_used_usd(), float)
    return str(response)


def stream(gateway: o.Gateway) -> str:
    """Events are told apart by ``isinstance`` or ``match``; the text has a way of its own."""
    with gateway.stream(o.LlmRequest("m", "hi")) as events:
        assert_type(events, o.GatewayStream)
        said = []
        for event in events:
            if isinstance(event, o.TextDelta):
                assert_type(event.delta, str)
            said.append(describe(event))
        assert_type(events.response, o.LlmResponse)
    return "".join([*said, *gateway.stream("hi").text()])


def laid_over(gateway: o.Gateway, schema: dict[str, object]) -> o.LlmResponse:
    """What is laid over a request is checked by name and type, and completed by editors."""
    tool = o.ToolDefinition("weather", schema)
    more: o.Overlay = {"max_output_tokens": 5, "reasoning": "low"}
    gateway.call("hi", into=list[int], model="m", instructions=None, temperature=0, tools=[tool], tool_choice="required")
    gateway.stream("hi", into=schema, tools=tool, reasoning=o.ReasoningCapability(effort="high"), stop_sequences=["END"])
    gateway.call("hi", timeout=5, **more)
    gateway.call("hi", max_tokens=5)  # type: ignore[call-arg]
    gateway.call("hi", stream=True)  # type: ignore[call-arg]
    gateway.call("hi", temperature="0")  # type: ignore[arg-type]
    gateway.call("hi", tool_choice="any")  # type: ignore[arg-type]
    gateway.stream("hi", tools=["weather"])  # type: ignore[list-item]
    wrong: o.Overlay = {"max_tokens": 5}  # type: ignore[typeddict-unknown-key]
    return gateway.call("hi", **wrong)


def mismatch(gateway: o.Gateway) -> str:
    """An answer that does not fit is an error of the codecs' kind, with the place and the response."""
    try:
        return str(gateway.call("hi", into=int).parsed)
    except o.ProtocolError as error:
        return assert_type(error.pointer, str)


def describe(event: o.LlmStreamEvent) -> str:
    """A match over events narrows each to its class."""
    match event:
        case o.TextDelta(delta=delta) | o.ReasoningDelta(delta=delta):
            return assert_type(delta, str)
        case o.ToolCallDelta(call_id=call_id, name=name):
            return assert_type(call_id, str) + assert_type(name, str)
        case o.OutputItemAdded(item=item):
            return item.plain_text() if isinstance(item, o.Message) else ""
        case o.Completed(response=response):
            return assert_type(response, o.LlmResponse).text
        case _:
            return ""


@o.tool
def weather(city: str, days: int = 1) -> str:
    """Tell the weather."""
    return f"sunny in {city} for {days} days"


@o.tool(name="population", strict=False)
def people_of(city: str) -> int:
    """Count the people."""
    return len(city)


def tools(gateway: o.Gateway) -> o.LlmResponse:
    """A tool keeps its function's types; the loop takes tools, functions and definitions."""
    assert_type(weather("Rome", days=2), str)
    assert_type(people_of.run({"city": "Rome"}), int)
    weather(7)  # type: ignore[arg-type]  # it is checked as the function is
    remote = o.ToolDefinition("remote", {"type": "object"})
    return gateway.run_tools("hi", [weather, people_of, len, remote], max_turns=3, parallel=False, timeout=5, temperature=0)


def many(gateway: o.Gateway, requests: list[o.LlmRequest]) -> int:
    """Futures and iterators give responses, and exceptions where they were asked for."""
    future = gateway.submit("hi", timeout=5, into=dict, temperature=0.5)
    assert_type(future.result(), o.LlmResponse)
    for answer in gateway.map(requests, concurrency=4, progress=True, model="m"):
        assert_type(answer, o.LlmResponse)
    answers = gateway.map((f"question {n}" for n in range(3)), return_exceptions=True)
    for either in answers:
        assert_type(either, o.LlmResponse | Exception)
    answers.close()
    return int(future.cancel())


def talk(gateway: o.Gateway) -> o.Conversation:
    """A conversation takes what a call takes, and many forms of what is said."""
    talk = o.Conversation(gateway, instructions="Be kind.", model="m", tools=[weather], max_output_tokens=100)
    assert_type(talk.say("hi", timeout=5, temperature=0.5), o.LlmResponse)
    talk.say(["Look: ", o.ImageUrlPart("https://host/a.png")])
    talk.say([o.ToolResultPart("c", "sunny"), o.Message.user("and?")], tools=())
    with talk.stream("hi", into=dict) as stream:
        for event in stream:
            assert_type(event, o.LlmStreamEvent)
        assert_type(stream.response, o.LlmResponse)
    assert_type(talk.items, tuple[o.RequestItem, ...])
    assert_type(talk.cost_usd, float | None)
    return o.Conversation.from_json(talk.fork().to_json(), gateway, tools=[weather])


def translate(body: dict[str, object], raw: bytes) -> list[str]:
    """Codecs give back the type they were given; reports say of what they are."""
    chat, claude = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS, o.ProviderProtocol.CLAUDE_MESSAGES
    assert_type(o.parse_request(chat, raw), o.LlmRequest)
    assert_type(o.parse_response(chat, raw), o.LlmResponse)
    assert_type(o.transcode_request(chat, claude, raw), bytes)
    report = o.parse_api_request(chat.wire_format, body)
    assert_type(report.lossy, bool)
    assert_type(report.losses, tuple[o.Loss, ...])
    frames = o.SseDecoder().feed(raw)
    assert_type(frames, list[o.SseFrame])
    events = [event for frame in frames for event in o.StreamParser(chat).feed(frame)]
    assert_type(events, list[o.LlmStreamEvent])
    return [loss.pointer for loss in report.losses]


def at_rest(request: o.LlmRequest) -> o.LlmRequest:
    """Reading gives the class it was called on."""
    assert_type(o.TextPart.from_json(b"{}"), o.TextPart)
    return o.LlmRequest.from_dict(request.to_dict())


def fail(gateway: o.Gateway) -> float | None:
    """Errors carry what is needed to decide what to do."""
    try:
        gateway.call("hi")
    except o.BudgetExceededError as error:
        return assert_type(error.resets_at, float | None)
    except o.NoAvailableKeyError as error:
        return error.retry_after if error.reason == "window" else None
    except o.ProviderError as error:
        assert_type(error.status, int | None)
        return None if error.sent == "yes" else error.retry_after
    except (o.DeadlineExceededError, o.StreamInterruptedError) as error:
        return float(len(error.phase))
    except o.GatewayError as error:
        assert_type(error.attempts, tuple[o.AttemptRecord, ...])
        return assert_type(error.retry_after, float | None)
    return None


def clouds(folder: str) -> list[o.ProviderEndpoint]:
    """A cloud's endpoint is made of a few names; its keys are texts or what its library finds."""
    keys = [o.KeyConfig("ACCESS:SECRET"), o.KeyConfig(o.AwsCredentials("profile"), "b"), o.KeyConfig(o.GoogleCredentials(folder))]
    assert_type(keys[0].key, o.Secret)
    assert_type(o.connect("bedrock/m", region="us-east-1", api_key=o.AwsCredentials()), o.Gateway)
    registry = o.embedded_provider_registry()
    assert_type(registry.supports_endpoint(o.ProviderKind.BEDROCK, o.EndpointKind.MESSAGES), bool)
    assert_type(registry.provider(o.ProviderKind.BEDROCK), o.ProviderDescriptor | None)
    azure = o.ProviderEndpoint.azure_openai("resource", "deployment", "2024-10-21", protocol="responses")
    vertex = o.ProviderEndpoint.vertex_ai("project", "global", publisher="anthropic")
    return [azure, vertex, o.ProviderEndpoint.bedrock("us-east-1", api="invoke_model")]


def endpoints(gateway: o.Gateway) -> None:
    """Each endpoint's call gives its own answer, and takes files in every way."""
    assert_type(gateway.embed("a", model="m", dimensions=3), o.EmbeddingResponse)
    assert_type(
        gateway.embed(["a", [1, 2], o.EmbeddingInput("b")], batch_size=2, timeout=timedelta(seconds=1)), o.EmbeddingResponse
    )
    assert_type(gateway.embed(o.EmbeddingRequest("m", "a")).embeddings, tuple[tuple[float, ...], ...])
    assert_type(gateway.generate_images("a", images=["a.png", b"x"], n=2), o.ImageGenerationResponse)
    assert_type(gateway.transcribe("a.mp3", response_format="srt").segments, tuple[o.AudioSegment, ...])
    assert_type(gateway.speak("a", voice="alloy", tenant="t").audio, bytes)
    assert_type(gateway.rerank("q", ["a", {"title": "b"}], top_n=1).results, tuple[o.RerankResult, ...])
    assert_type(gateway.request(o.RerankRequest("m", "q", ["a"])), o.RerankResponse)
    assert_type(gateway.request(o.LlmRequest("m", "hi"), timeout=1), o.LlmResponse)
    assert_type(gateway.embed("a").cost_usd, float | None)
    given: o.ApiRequest = o.AudioSpeechRequest("m", "text", "alloy")
    assert_type(o.emit_transport_request(o.WireFormat.OPENAI_AUDIO_SPEECH, given).value, o.TransportRequest)


def native(gateway: o.Gateway) -> None:
    """Native calls, streams and jobs have types of their own."""
    request = o.PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", "m", {"input": "hi"})
    assert_type(request.with_path("/x").with_header("X-Trace", "1").with_query("a", "b").with_stream("sse"), o.PrimitiveRequest)
    assert_type(o.PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, {"file": b"x"}), o.PrimitiveRequest)
    answer = gateway.primitive_call(request, timeout=1, key_label="k")
    assert_type(answer, o.PrimitiveResponse)
    assert_type(answer.usage, o.PrimitiveUsageTelemetry | None)
    with gateway.primitive_stream(request) as stream:
        for event in stream:
            assert_type(event, o.PrimitiveStreamEvent)
            if isinstance(event, o.PrimitiveSseFrame):
                assert_type(event.data, str)
        assert_type(stream.response, o.PrimitiveResponse)
    job = gateway.primitive_async_job(o.PrimitiveAsyncJobRequest.create(request))
    assert_type(gateway.primitive_wait(job, progress=print, timeout=timedelta(hours=1)).status, o.PrimitiveAsyncJobStatus)
    registry = o.embedded_primitive_provider_registry()
    assert_type(registry.supports_request(request), bool)
    endpoint = o.PrimitiveProviderEndpoint.anthropic()
    builder = o.GatewayBuilder(o.ProviderEndpoint.openai_responses()).primitive_endpoint(endpoint, o.KeyConfig("k"))
    assert_type(builder, o.GatewayBuilder)


def events_for_a_browser(gateway: o.Gateway, chat: o.Conversation) -> None:
    """Streams, what opens one, and frames of one's own."""

    def frames(event: o.LlmStreamEvent) -> Iterator[o.SseFrame]:
        if isinstance(event, o.ReasoningDelta):
            yield frame("reasoning", text=event.delta)
        yield from frames_of(event)

    body = SseBody(gateway.stream("hi"), heartbeat=5, frames=frames)
    assert_type(next(body), bytes)
    body.close()
    SseBody(chat.stream("hi"))
    AsyncSseBody(partial(gateway.stream, "hi", timeout=60))
