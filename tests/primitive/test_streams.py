"""A native stream: frames and chunks as they came, the usage beside them, and the money however it ends."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from typing import Any

import pytest
from gateway_fixtures import Build
from native_requests import native_endpoint, native_request

from omnillm import PriceTable
from omnillm._cancel import CancellationToken
from omnillm.errors import (
    CallCancelledError,
    ClosedError,
    GatewayError,
    OverloadedError,
    ServerError,
    StreamInterruptedError,
)
from omnillm.primitive import (
    PrimitiveBinaryChunk,
    PrimitiveCompleted,
    PrimitiveProviderEndpoint,
    PrimitiveProviderKind,
    PrimitiveRequest,
    PrimitiveSseFrame,
    PrimitiveStreamEvent,
    PrimitiveStreamMode,
    PrimitiveUsageReported,
    PrimitiveUsageTelemetry,
    PrimitiveWebSocketMessage,
)
from omnillm.primitive import PrimitiveEndpointKind as Kind
from omnillm.primitive import ProviderPrimitiveWireFormat as Native
from omnillm.testing import LocalProvider, ScriptedServer, break_stream, fail
from omnillm.testing.scripted import expect, respond, sse
from omnillm.types.hooks import CallEnded
from omnillm.types.usage import TokenUsage

OPENAI = PrimitiveProviderKind.OPENAI
SSE, CHUNKS = PrimitiveStreamMode.SSE, PrimitiveStreamMode.BINARY_CHUNKS
RESPONSES = native_request(Native.OPENAI_RESPONSES, Kind.RESPONSES, OPENAI, SSE)
SPEECH = native_request(Native.OPENAI_AUDIO_SPEECH, Kind.AUDIO_SPEECH, OPENAI, CHUNKS)


def at(provider: LocalProvider, build: Build, **steps: Any) -> Any:
    return build(provider, primitive_endpoint=native_endpoint(provider, OPENAI), budget_limit_usd=1e6, **steps)


def scripted(build: Build, server: ScriptedServer, **steps: Any) -> Any:
    return build(server, primitive_endpoint=PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1"), **steps)


def frames(events: list[Any]) -> list[PrimitiveSseFrame]:
    return [event for event in events if isinstance(event, PrimitiveSseFrame)]


def test_frames_are_given_as_they_came(provider: LocalProvider, build: Build) -> None:
    """Every frame is given with its name and its data; then the usage, once, and the end."""
    gateway = at(provider, build)
    with gateway.primitive_stream(RESPONSES) as stream:
        events = list(stream)
    names = [frame.event for frame in frames(events)]
    assert (names[0], names[-1]) == ("response.created", "response.completed")
    deltas = [frame.json()["delta"] for frame in frames(events) if frame.event == "response.output_text.delta"]
    assert "".join(deltas) == "echo: Say hello"
    assert [type(event) for event in events[-2:]] == [PrimitiveUsageReported, PrimitiveCompleted]
    assert events[-1].usage == events[-2].usage == stream.response.usage
    assert stream.response.usage.raw_usage["output_tokens"] == 3
    assert (stream.response.status, stream.response.body) == (200, None)
    assert gateway.budget_used_usd() == stream.response.cost_usd == stream.response.usage.token_usage.total()


def test_a_chat_without_a_usage_is_settled_by_its_length(provider: LocalProvider, build: Build) -> None:
    """Where the body did not ask for a usage, the text that came is counted."""
    request = PrimitiveRequest.json(
        "open_ai", "chat_completions", "open_ai_chat_completions", None,
        {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True},
    ).with_stream("sse")  # fmt: skip
    gateway = at(provider, build)
    events = list(gateway.primitive_stream(request))
    assert events[-1] == PrimitiveCompleted(None)
    assert 0 < gateway.budget_used_usd() < 100


def test_audio_comes_as_chunks(provider: LocalProvider, build: Build) -> None:
    """The chunks are the file, and it is settled by what was asked for."""
    gateway = at(provider, build)
    with gateway.primitive_stream(SPEECH) as stream:
        chunks = [event for event in stream if isinstance(event, PrimitiveBinaryChunk)]
    whole = gateway.primitive_call(SPEECH.with_stream("none")).content
    assert b"".join(chunk.data for chunk in chunks) == whole
    assert {chunk.media_type for chunk in chunks} == {"audio/wav"}
    assert gateway.budget_used_usd() > 0
    assert stream.response.usage is None


def test_a_file_comes_as_chunks(provider: LocalProvider, build: Build) -> None:
    """A file is read piece by piece, for nothing."""
    gateway = at(provider, build)
    data = bytes(range(256)) * 2_000
    made = gateway.primitive_call(
        PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, {"purpose": "batch", "file": data})
    )
    read = PrimitiveRequest.get("open_ai", "files", "open_ai_files", path=f"/files/{made.json()['id']}/content")
    events = list(gateway.primitive_stream(read.with_stream("binary_chunks")))
    assert b"".join(event.data for event in events[:-1]) == data
    assert len(events) > 2
    assert gateway.budget_used_usd() == 0


def test_images_of_a_stream_end_with_their_own_event(provider: LocalProvider, build: Build) -> None:
    """A stream that is no text is over with its last event, which tells the usage."""
    gateway = at(provider, build)
    request = native_request(Native.OPENAI_IMAGES, Kind.IMAGES, OPENAI, SSE)
    events = list(gateway.primitive_stream(request))
    assert [frame.event for frame in frames(events)] == ["image_generation.completed"]
    assert events[-1].usage.token_usage.completion_tokens == 272
    assert gateway.budget_used_usd() == events[-1].usage.token_usage.total()


def test_frames_that_no_codec_reads_are_given(build: Build) -> None:
    """Words of a provider's that the library does not know are passed on, and the usage is found in them."""
    body = (
        b'event: response.output_text.delta\ndata: {"delta":"hi"}\n\n'
        b'event: response.completed\ndata: {"usage":{"input_tokens":10,"output_tokens":2,"total_tokens":12}}\n\n'
    )
    with ScriptedServer([expect(), sse(body)]) as server:
        gateway = scripted(build, server, budget_limit_usd=1e6)
        events = list(gateway.primitive_stream(RESPONSES))
        assert [event.type for event in events] == ["sse_frame", "sse_frame", "usage", "completed"]
        assert events[-1].usage.token_usage.prompt_tokens == 10
        assert gateway.budget_used_usd() == 12


def test_an_answer_that_came_whole_is_given_whole(provider: LocalProvider, build: Build) -> None:
    """Where the body did not ask for a stream, the JSON is a chunk, and its usage is settled."""
    whole = native_request(Native.OPENAI_RESPONSES, Kind.RESPONSES, OPENAI).with_stream("sse")
    gateway = at(provider, build)
    events = list(gateway.primitive_stream(whole))
    assert json.loads(b"".join(event.data for event in events if isinstance(event, PrimitiveBinaryChunk)))["object"] == "response"
    assert gateway.budget_used_usd() == events[-1].usage.token_usage.total()


def test_an_error_before_the_stream_is_retried(provider: LocalProvider, build: Build) -> None:
    """Errors up to the status are the road's: another try, and then the error, raised where the stream is asked for."""
    provider.script(fail(503))
    gateway = at(provider, build)
    assert list(gateway.primitive_stream(RESPONSES))[-1].type == "completed"
    provider.script(fail(529, times=9))
    with pytest.raises(OverloadedError):
        gateway.primitive_stream(RESPONSES)


def test_an_error_in_the_stream_is_raised(provider: LocalProvider, build: Build) -> None:
    """What the provider says of a failure in mid-stream is the error; what came before was given and is paid for."""
    provider.script(break_stream(6, how="error_event"))
    gateway = at(provider, build)
    stream, seen = gateway.primitive_stream(RESPONSES), []
    with pytest.raises(GatewayError, match="scripted failure of a stream"):
        seen += iter(stream)
    assert gateway.budget_used_usd() > 0
    assert gateway.pool_status()[0].tpm_inflight == 0


@pytest.mark.parametrize("how", ["cut", "no_terminal"])
def test_a_stream_that_breaks_off_says_so(provider: LocalProvider, build: Build, how: Any) -> None:
    """The end of the connection is no end of the stream; no second try is made behind frames that were given."""
    provider.script(break_stream(5, how=how))
    gateway = at(provider, build)
    given = []
    with pytest.raises(StreamInterruptedError) as caught:
        for event in gateway.primitive_stream(RESPONSES):
            given.append(event.type)  # what was given before the error counts
    assert set(given) == {"sse_frame"}
    assert caught.value.phase == how
    assert len(provider.requests) == 1
    assert gateway.budget_used_usd() > 0


def test_leaving_a_stream_gives_everything_back(provider: LocalProvider, build: Build, events: list[Any]) -> None:
    """By ``close()``, by ``with``, and by losing it: the key is free, what came is paid for, the hooks are told."""
    gateway = at(provider, build)
    stream = gateway.primitive_stream(RESPONSES)
    next(stream)
    stream.close()
    with pytest.raises(ClosedError):
        next(stream)
    with gateway.primitive_stream(SPEECH) as stream:
        next(stream)
    stream = gateway.primitive_stream(RESPONSES)
    next(stream)
    del stream
    gc.collect()
    assert gateway.pool_status()[0].tpm_inflight == 0
    assert provider.wait_open_connections(0)
    assert gateway.budget_used_usd() > 0
    assert [event.outcome for event in events if isinstance(event, CallEnded)] == ["closed"] * 3


def test_a_token_ends_a_stream(provider: LocalProvider, build: Build) -> None:
    """Cancelling wakes whoever reads."""
    token = CancellationToken()
    stream = at(provider, build).primitive_stream(RESPONSES, cancel=token)
    next(stream)
    token.cancel()
    with pytest.raises(CallCancelledError):
        list(stream)


def test_an_error_with_status_200_is_an_error_of_a_stream_too(build: Build) -> None:
    """A JSON error where a stream was asked for is raised."""
    said = b'{"error":{"message":"it broke","type":"server_error","code":null,"param":null}}'
    whole = [expect(), respond(200, {"Content-Type": "application/json"}, said)]
    with ScriptedServer(whole) as server, pytest.raises(ServerError, match="it broke"):
        list(scripted(build, server).primitive_stream(RESPONSES))


@pytest.mark.parametrize(
    "event",
    [
        PrimitiveSseFrame('{"a": 1}', "delta", "3"),
        PrimitiveBinaryChunk(b"\0\xff", "audio/mpeg"),
        PrimitiveWebSocketMessage('{"type": "x"}'),
        PrimitiveWebSocketMessage(data=b"{}"),
        PrimitiveUsageReported(PrimitiveUsageTelemetry({"input_tokens": 3}, TokenUsage(3))),
        PrimitiveCompleted(),
    ],
)
def test_events_survive_their_json(event: PrimitiveStreamEvent) -> None:
    """Each kind is read back as it was, from its own class or from the common one."""
    assert PrimitiveStreamEvent.from_json(event.to_json()) == event == type(event).from_json(event.to_json())
    assert event.to_dict()["type"] == event.type


def test_messages_are_read_as_json() -> None:
    """Of text or of bytes."""
    assert PrimitiveWebSocketMessage('{"a": 1}').json() == PrimitiveWebSocketMessage(data=b'{"a": 1}').json() == {"a": 1}


def test_a_stream_that_says_its_cost_is_charged_that(provider: LocalProvider, build: Build) -> None:
    """Whatever usage it reports, to its end or left before."""
    gateway = at(provider, build)
    request = replace(RESPONSES, cost_usd=7)
    with gateway.primitive_stream(request) as stream:
        list(stream)
    assert (stream.response.cost_usd, gateway.budget_used_usd()) == (7, 7)
    with gateway.primitive_stream(request) as stream:
        next(stream)
    assert gateway.budget_used_usd() == 14


@pytest.mark.parametrize("usage", [{"cost": 0.5}, {}])
def test_a_stream_that_nobody_can_read_is_charged_what_was_reserved(build: Build, usage: Any) -> None:
    """A usage that counts no tokens bounds nothing."""
    body = {"model": "m", "max_tokens": 7}
    with ScriptedServer([expect(), sse(json.dumps({"usage": usage}))]) as server:
        own = PrimitiveProviderEndpoint.custom(f"{server.base_url}/v1")
        prices = PriceTable({"m": {"input": 1e6, "output": 1e6}})
        gateway = build(server, primitive_endpoint=own, pricing=prices, budget_limit_usd=1e6)
        request = PrimitiveRequest.json("custom", "custom", "custom_http", "m", body, path="/x").with_stream(SSE)
        list(gateway.primitive_stream(request))
    assert gateway.budget_used_usd() == pytest.approx(len(json.dumps(body, separators=(",", ":"))) + 7, abs=1)


@pytest.mark.parametrize("prices", [{"image": 5}, {"input": 1e6, "output": 1e6}, {"input": 1e6, "output": 1e6, "image": 5}])
def test_images_cost_the_same_streamed_or_not(provider: LocalProvider, build: Build, prices: Any) -> None:
    """By their tokens or by the piece, as the model is priced."""
    whole = native_request(Native.OPENAI_IMAGES, Kind.IMAGES, OPENAI, PrimitiveStreamMode.NONE)
    model = whole.json_body()["model"]
    gateway = at(provider, build, pricing=PriceTable({model: prices}))
    gateway.primitive_call(whole)
    cost = gateway.budget_used_usd()
    list(gateway.primitive_stream(native_request(Native.OPENAI_IMAGES, Kind.IMAGES, OPENAI, SSE)))
    assert gateway.budget_used_usd() == 2 * cost > 0
